import { escapeControl, type StatusEvent, type VertexEvent } from '../../../engine/index.ts';
import type { Writer } from '../output.ts';
import { humanSize, seconds } from '../units.ts';
import type { Renderer } from './index.ts';
import { createLineBuffer } from './line-buffer.ts';
import { endOf } from './plain.ts';
import { createTimeline } from './timeline.ts';
import { createWarnings } from './warnings.ts';

/** Milliseconds between two pictures. */
const INTERVAL = 100;
/** Lines of output shown below a running step. */
const TAIL = 4;
const BAR = 24;

/** What is known of a step on the screen. */
interface Step {
  event: VertexEvent;
  readonly statuses: Map<string, StatusEvent>;
  readonly tail: string[];
}

/**
 * Bars on a terminal: finished steps scroll away as lines, running ones stay below with their time, the blobs that move and their last
 * lines of output; at the end a timeline, where the work was long.
 */
export function createTty(output: Writer, options: { readonly color: boolean; readonly timeline: boolean }): Renderer {
  const { color } = options;
  const steps = new Map<string, Step>();
  const buffer = createLineBuffer();
  const timeline = createTimeline();
  const warnings = createWarnings();
  let drawn = 0;
  let above: string[] = [];
  const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const draw = (): void => {
    const live = [...steps.values()].flatMap((step) => picture(step, output.columns, paint));
    const erase = drawn > 0 ? `\u001b[${drawn}A\u001b[0J` : '';
    output.write(erase + [...above, ...live].map((line) => `${line}\n`).join(''));
    drawn = live.length;
    above = [];
  };
  const timer = setInterval(draw, INTERVAL);
  timer.unref();
  const onVertex = (event: VertexEvent): void => {
    const step = steps.get(event.id);
    const ended = event.completed !== undefined || event.cached === true || event.error !== undefined;
    if (!ended) {
      if (step) step.event = event;
      else if (event.started !== undefined) steps.set(event.id, { event, statuses: new Map(), tail: [] });
      return;
    }
    timeline.add(event);
    const failed = event.error !== undefined;
    const mark = failed
      ? paint(31, '✘')
      : event.canceled
        ? paint(33, '✘')
        : event.cached
          ? paint(36, '○')
          : paint(32, '✔');
    // The last lines of a step that failed say why; they stay on the screen.
    const tail = failed ? (step?.tail ?? []).map((line) => paint(2, cut(`    ${line}`, output.columns))) : [];
    above.push(
      cut(`${mark} ${escapeControl(event.name)} ${paint(2, endOf(event))}`, output.columns + (color ? 20 : 0)),
      ...tail,
    );
    steps.delete(event.id);
  };
  return {
    onEvent: (event) => {
      if (event.type === 'vertex') onVertex(event);
      else if (event.type === 'status') steps.get(event.vertex)?.statuses.set(event.name, event);
      else if (event.type === 'warning') above.push(...warnings(event).map((line) => paint(33, line)));
      else {
        const tail = steps.get(event.vertex)?.tail;
        tail?.push(...buffer.push(`${event.vertex}${event.stream}`, event.data));
        tail?.splice(0, Math.max(0, tail.length - TAIL));
      }
    },
    finish: () => {
      clearInterval(timer);
      if (options.timeline) above.push(...timeline.lines(output.columns));
      steps.clear();
      draw();
    },
  };
}

function picture(step: Step, columns: number, paint: (code: number, text: string) => string): readonly string[] {
  const { event, statuses, tail } = step;
  const elapsed = seconds(Date.now() - (event.started ?? Date.now()));
  const moving = [...statuses.values()].filter(({ completed }) => completed === undefined);
  return [
    cut(`▶ ${escapeControl(event.name)} ${elapsed}`, columns),
    ...moving.map((status) => cut(`    ${barOf(status)}`, columns)),
    ...tail.map((line) => paint(2, cut(`    ${line}`, columns))),
  ];
}

function barOf({ name, current, total }: StatusEvent): string {
  const label = escapeControl(name).slice(0, 20).padEnd(20);
  if (total === undefined || total === 0) return `${label} ${humanSize(current)}`;
  const full = Math.min(BAR, Math.round((current / total) * BAR));
  return `${label} ${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${humanSize(current)} / ${humanSize(total)}`;
}

/** A line that would wrap moves everything below it out of place. */
function cut(line: string, columns: number): string {
  return line.length < columns ? line : `${line.slice(0, Math.max(1, columns - 2))}…`;
}

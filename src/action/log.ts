import { StringDecoder } from 'node:string_decoder';
import type { LogEvent, OnEvent, ProgressEvent, StatusEvent, VertexEvent, WarningEvent } from '../../engine/index.ts';
import type { Commands } from './commands.ts';

/** What the log is written with. */
export interface LogOptions {
  /** Takes known secrets out of foreign text; the runner masks them too. */
  readonly redact: (text: string) => string;
}

/** A partial line longer than this is written without waiting for its end. */
const MAX_HELD = 8192;
const CONTROL_TITLE: Readonly<Record<Phase, string>> = { build: 'Build', smoke: 'Smoke test', push: 'Push' };
type Phase = 'build' | 'smoke' | 'push';

/**
 * Progress as lines of the job's log, a group a phase, each line with its step's number as BuildKit writes them. Names and output of steps
 * are foreign text.
 */
export function createLog(commands: Commands, { redact }: LogOptions): OnEvent {
  const steps = new Map<string, Step>();
  let phase: Phase | undefined;
  const enter = (next: Phase): void => {
    if (phase === next) return;
    phase = next;
    commands.group(CONTROL_TITLE[next]);
  };
  const stepOf = (id: string): Step => {
    const known = steps.get(id);
    if (known) return known;
    const step: Step = { number: steps.size + 1, isOpen: false, lines: new Map() };
    steps.set(id, step);
    return step;
  };
  const say = (step: Step, text: string): void =>
    commands.foreign(
      redact(text)
        .split('\n')
        .map((line) => `#${step.number} ${line}`)
        .join('\n'),
    );

  const onVertex = (event: VertexEvent): void => {
    if (event.started === undefined) return;
    enter(phaseOf(event.id, phase));
    const step = stepOf(event.id);
    if (!step.isOpen) say(step, event.name);
    step.isOpen = true;
    if (event.completed === undefined) return;
    for (const held of step.lines.values()) if (held.end() !== '') say(step, held.take());
    say(step, endOf(event));
  };
  const onLog = ({ vertex, stream, data }: LogEvent): void => {
    enter(phaseOf(vertex, phase));
    const step = stepOf(vertex);
    const held = step.lines.get(stream) ?? createHeld();
    step.lines.set(stream, held);
    const lines = held.add(data);
    if (lines.length > 0) say(step, lines.join('\n'));
  };
  const onStatus = ({ vertex, name, current, completed, spared }: StatusEvent): void => {
    // One line when it is done: a log is no place for bars.
    if (completed === undefined) return;
    const note =
      spared === undefined ? '' : spared === 'exists' ? ', exists already' : ', mounted from another repository';
    say(stepOf(vertex), `${name} ${size(current)}${note}`);
  };
  const onWarning = ({ message, hint }: WarningEvent): void =>
    commands.foreign(redact(`warning: ${message}${hint === undefined ? '' : ` (${hint})`}`));

  return (event: ProgressEvent) => {
    switch (event.type) {
      case 'vertex':
        return onVertex(event);
      case 'log':
        return onLog(event);
      case 'status':
        return onStatus(event);
      case 'warning':
        return onWarning(event);
    }
  };
}

interface Step {
  readonly number: number;
  isOpen: boolean;
  readonly lines: Map<1 | 2, Held>;
}

/** Bytes of a stream that are not yet a line. */
interface Held {
  /** @returns the lines that are complete now */
  add(data: Uint8Array): readonly string[];
  /** Ends the decoding; gives what is left. */
  end(): string;
  take(): string;
}

function createHeld(): Held {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    add: (data) => {
      const lines = (rest + decoder.write(Buffer.from(data.buffer, data.byteOffset, data.byteLength))).split(/\r\n|\n/);
      rest = lines.pop() ?? '';
      if (rest.length <= MAX_HELD) return lines;
      const all = [...lines, rest];
      rest = '';
      return all;
    },
    end: () => (rest += decoder.end()),
    take: () => {
      const left = rest;
      rest = '';
      return left;
    },
  };
}

/** The engine's and the pipeline's own ids say where we are; a pull inside the smoke test stays there. */
function phaseOf(id: string, current: Phase | undefined): Phase {
  if (id === 'smoke') return 'smoke';
  if (id.startsWith('push ')) return 'push';
  return current ?? 'build';
}

function endOf({ started = 0, completed = 0, cached, error, canceled }: VertexEvent): string {
  if (canceled) return 'CANCELED';
  if (error !== undefined) return `ERROR: ${error}`;
  return cached ? 'CACHED' : `DONE ${((completed - started) / 1000).toFixed(1)}s`;
}

function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

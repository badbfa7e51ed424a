import { escapeControl, type ProgressEvent, type StatusEvent, type VertexEvent } from '../../../engine/index.ts';
import type { Writer } from '../output.ts';
import { humanSize, seconds } from '../units.ts';
import type { Renderer } from './index.ts';
import { createLineBuffer } from './line-buffer.ts';
import { createWarnings } from './warnings.ts';

/** One line an event, in the form of BuildKit's `--progress plain`: `#5 [builder 2/5] RUN …`, `#5 0.812 output`, `#5 DONE 3.2s`. */
export function createPlain(output: Pick<Writer, 'write'>): Renderer {
  const vertices = new Map<string, { readonly number: number; event: VertexEvent; said: boolean; ended: boolean }>();
  const done = new Set<string>();
  const warnings = createWarnings();
  const buffer = createLineBuffer();
  const say = (line: string): void => output.write(`${line}\n`);
  const known = (
    id: string,
    name: string,
  ): { readonly number: number; event: VertexEvent; said: boolean; ended: boolean } => {
    const found = vertices.get(id);
    if (found) return found;
    const made = {
      number: vertices.size + 1,
      event: { type: 'vertex', id, name } as VertexEvent,
      said: false,
      ended: false,
    };
    vertices.set(id, made);
    return made;
  };
  const onVertex = (event: VertexEvent): void => {
    if (event.started === undefined && event.completed === undefined && !event.cached) return;
    const vertex = known(event.id, event.name);
    vertex.event = event;
    if (!vertex.said) say(`#${vertex.number} ${escapeControl(event.name)}`);
    vertex.said = true;
    if (vertex.ended || (event.completed === undefined && !event.cached && event.error === undefined)) return;
    vertex.ended = true;
    for (const stream of ['1', '2']) {
      for (const line of buffer.flush(event.id + stream)) say(`#${vertex.number} ${line}`);
    }
    say(`#${vertex.number} ${endOf(event)}\n`);
  };
  const onStatus = (event: StatusEvent): void => {
    const key = `${event.vertex} ${event.name}`;
    const ended = event.completed !== undefined || (event.total !== undefined && event.current >= event.total);
    if (!ended || done.has(key)) return;
    done.add(key);
    const size =
      event.total === undefined ? humanSize(event.current) : `${humanSize(event.current)} / ${humanSize(event.total)}`;
    const outcome = event.spared === undefined ? `${size} done` : sparedText(event.spared);
    say(`#${known(event.vertex, '').number} ${escapeControl(event.name)} ${outcome}`);
  };
  return {
    onEvent: (event: ProgressEvent) => {
      if (event.type === 'vertex') onVertex(event);
      else if (event.type === 'status') onStatus(event);
      else if (event.type === 'warning') warnings(event).forEach(say);
      else {
        const vertex = known(event.vertex, '');
        const at = ((Date.now() - (vertex.event.started ?? Date.now())) / 1000).toFixed(3);
        for (const line of buffer.push(`${event.vertex}${event.stream}`, event.data))
          say(`#${vertex.number} ${at} ${line}`);
      }
    },
    finish: () => undefined,
  };
}

function sparedText(spared: 'exists' | 'mounted'): string {
  return spared === 'exists' ? 'exists already' : 'mounted from another repository';
}

/** How a vertex ended: `CACHED`, `DONE 3.2s`, `CANCELED`, `ERROR: …`. */
export function endOf(event: VertexEvent): string {
  if (event.canceled) return 'CANCELED';
  if (event.error !== undefined) return `ERROR: ${escapeControl(event.error)}`;
  if (event.cached) return 'CACHED';
  return `DONE ${seconds((event.completed ?? 0) - (event.started ?? event.completed ?? 0))}`;
}

import type { ProgressEvent } from '../../../engine/index.ts';
import type { Writer } from '../output.ts';
import type { Renderer } from './index.ts';

/** One JSON object a line in the shape of BuildKit's SolveStatus, as `docker build --progress rawjson` prints it. */
export function createRawJson(output: Pick<Writer, 'write'>): Renderer {
  return {
    onEvent: (event) => output.write(`${JSON.stringify(toSolveStatus(event))}\n`),
    finish: () => undefined,
  };
}

function toSolveStatus(event: ProgressEvent): Record<string, unknown> {
  const now = new Date().toISOString();
  switch (event.type) {
    case 'vertex': {
      const { id, name, parent, cached, canceled } = event;
      // The words by which BuildKit's printers know a cancelled vertex.
      const error = canceled ? 'context canceled' : event.error;
      const times = { started: time(event.started), completed: time(event.completed) };
      return {
        vertexes: [{ digest: id, inputs: parent === undefined ? [] : [parent], name, ...times, cached, error }],
      };
    }
    case 'status': {
      const { name, vertex, current, total, completed } = event;
      return { statuses: [{ id: name, vertex, name, current, total, timestamp: now, completed: time(completed) }] };
    }
    case 'log': {
      const data = Buffer.from(event.data).toString('base64');
      return { logs: [{ vertex: event.vertex, stream: event.stream, data, timestamp: now }] };
    }
    case 'warning': {
      const { vertex, message, hint, location } = event;
      return {
        warnings: [
          {
            vertex: vertex ?? '',
            level: 1,
            short: Buffer.from(message).toString('base64'),
            detail: hint === undefined ? [] : [Buffer.from(hint).toString('base64')],
            ...(location
              ? {
                  sourceInfo: { filename: location.file },
                  range: [{ start: { line: location.startLine }, end: { line: location.endLine } }],
                }
              : {}),
          },
        ],
      };
    }
  }
}

function time(milliseconds: number | undefined): string | undefined {
  return milliseconds === undefined ? undefined : new Date(milliseconds).toISOString();
}

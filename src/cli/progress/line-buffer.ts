import { StringDecoder } from 'node:string_decoder';
import { escapeControl } from '../../../engine/index.ts';

/** Cuts the output of steps into lines; control characters become visible, so that a step cannot move the cursor. */
export interface LineBuffer {
  readonly push: (key: string, data: Uint8Array) => readonly string[];
  /** What has no newline yet. */
  readonly flush: (key: string) => readonly string[];
}

/** Longest line that is kept whole, in characters. */
const MAX_LINE = 64 * 1024;

export function createLineBuffer(): LineBuffer {
  const buffers = new Map<string, { readonly decoder: StringDecoder; rest: string }>();
  return {
    push: (key, data) => {
      const buffer = buffers.get(key) ?? { decoder: new StringDecoder('utf8'), rest: '' };
      buffers.set(key, buffer);
      const lines = (buffer.rest + buffer.decoder.write(Buffer.from(data))).split('\n');
      const rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE) lines.push(rest);
      buffer.rest = rest.length > MAX_LINE ? '' : rest;
      return lines.map(clean);
    },
    flush: (key) => {
      const rest = buffers.get(key)?.rest ?? '';
      buffers.delete(key);
      return rest === '' ? [] : [clean(rest)];
    },
  };
}

/** Of a line that redraws itself by carriage returns (pip, curl), the last state. */
function clean(line: string): string {
  const states = line.replace(/\r+$/, '').split('\r');
  return escapeControl(states.at(-1) ?? '');
}

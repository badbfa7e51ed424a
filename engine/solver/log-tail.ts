/** Lines and bytes of a step's output that are kept for its error. */
const LINES = 20;
const BYTES = 16 * 1024;

/** Remembers the end of an output, whatever its length. */
export interface LogTail {
  add(chunk: Uint8Array): void;
  lines(): readonly string[];
}

export function createLogTail(): LogTail {
  let kept: Buffer = Buffer.alloc(0);
  return {
    add: (chunk) => {
      const end = chunk.length > BYTES ? chunk.subarray(chunk.length - BYTES) : chunk;
      const joined = Buffer.concat([kept, end]);
      kept = joined.subarray(Math.max(0, joined.length - BYTES));
    },
    lines: () => {
      const text = kept.toString('utf8').replace(/\r?\n$/, '');
      return text === '' ? [] : text.split(/\r?\n/).slice(-LINES);
    },
  };
}

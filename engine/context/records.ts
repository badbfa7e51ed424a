import type { Selected } from './types.ts';

const END = Buffer.from([0]);

/**
 * What the helper's `copy` reads: `[path]\0[dest]\0[mode]\0` for each entry. The mode is empty where the file's own is meant: names come
 * as they are, and nothing in them is read as anything else.
 */
export function toRecords(selected: readonly Selected[]): Buffer {
  return Buffer.concat(selected.flatMap(({ entry, dest }) => [entry.path, END, dest, END, END]));
}

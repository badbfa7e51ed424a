import { stampOf } from './hashes.ts';
import type { ContextEntry, Selected } from './types.ts';

const END = Buffer.from([0]);

/**
 * What the helper's `copy` reads: `[path]\0[dest]\0[mode]\0[stamp]\0` for each entry. The mode is empty where the file's own is meant; names come
 * as they are, and nothing in them is read as anything else. With `unpack`, files that are sources themselves are marked.
 * The stamp is that of files, which must still be the ones that were listed.
 */
export function toRecords(
  selected: readonly Selected[],
  { unpack = false }: { readonly unpack?: boolean } = {},
): Buffer {
  return Buffer.concat(
    selected.flatMap(({ entry, dest, isSource }) => [
      entry.path,
      END,
      dest,
      END,
      Buffer.from(`${entry.isNormalised ? entry.mode.toString(8) : ''}${unpack && isSource ? 'a' : ''}`),
      END,
      Buffer.from(entry.type === 'file' ? stampOf(entry) : ''),
      END,
    ]),
  );
}

/** Records of files for the helper's `contents`. */
export function toFileRecords(entries: readonly ContextEntry[]): Buffer {
  return toRecords(entries.map((entry) => ({ entry, dest: Buffer.alloc(0) })));
}

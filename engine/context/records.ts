import type { Selected } from './types.ts';

const END = Buffer.from([0]);

/**
 * What the helper's `copy` reads: `[path]\0[dest]\0[mode]\0` for each entry. The mode is empty where the file's own is meant; names come
 * as they are, and nothing in them is read as anything else. With `unpack`, files that are sources themselves are marked.
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
    ]),
  );
}

import { describe, expect, test } from '@jest/globals';
import { tmpdir } from 'node:os';
import type { Digest } from '../../../engine/image/types.ts';
import { estimateNeed, requireSpace, type WantedLayer } from '../../../engine/store/space.ts';

const DIGEST: Digest = `sha256:${'a'.repeat(64)}`;

function layer(
  type: string,
  size: number,
  more: { readonly plain?: number; readonly local?: boolean } = {},
): WantedLayer {
  const blob = { mediaType: `application/vnd.oci.image.layer.v1.tar${type}`, digest: DIGEST, size };
  const record = { v: 1, diffId: DIGEST, size: more.plain, blobs: [blob], sources: {}, snapshots: [] } as const;
  return { record, local: more.local ? blob : undefined };
}

describe('space for layers', () => {
  test.each<readonly [string, readonly WantedLayer[], number]>([
    ['blob and files, as the record knows them', [layer('+gzip', 10, { plain: 35 })], 45],
    ['files of a size that nobody knows are at least twice as large', [layer('+zstd', 10)], 30],
    ['what is not compressed does not grow', [layer('', 10)], 20],
    ['a blob that is here takes no more', [layer('+gzip', 10, { plain: 35, local: true })], 35],
    ['a layer that is nowhere is for others to refuse', [{ record: undefined, local: undefined }], 0],
  ])('%s', (_name, layers, need) => {
    expect(estimateNeed(layers)).toBe(need);
  });

  test('too little is an error with both figures, before anything is fetched', async () => {
    await expect(requireSpace(tmpdir(), [layer('+gzip', 1e15, { plain: 4e15 })])).rejects.toMatchObject({
      code: 'STORE_NO_SPACE',
      message: expect.stringMatching(
        /1 layer: they need about 5000000\.0 GB, and \S+ has [\d.]+ [GM]B free/,
      ) as unknown,
    });
    await requireSpace(tmpdir(), [layer('+gzip', 10)]);
    await requireSpace('/nowhere', []);
  });
});

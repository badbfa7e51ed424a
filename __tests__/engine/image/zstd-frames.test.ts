import { describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import { collect } from '../../../engine/base/collect.ts';
import { inflate } from '../../../engine/image/inflate.ts';

const text = Buffer.alloc(300_000, 'all the same, ');
const noise = randomBytes(400_000);
const skipped = Buffer.concat([Buffer.from('5a2a4d1805000000', 'hex'), Buffer.from('table')]);
const frame = (content: Buffer, params: Readonly<Record<number, number>> = {}): Buffer =>
  zstdCompressSync(content, { params });

async function* inPieces(content: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield await Promise.resolve(content.subarray(at, at + size));
}
const plain = async (content: Buffer, size = 1 << 20): Promise<Buffer> =>
  await collect(inflate(inPieces(content, size), 'zstd', 'the blob'), 'the content', 1 << 24);

describe('a zstd file', () => {
  test.each([1, 3, 1000, 1 << 20])('is read to its last frame, in pieces of %d bytes', async (size) => {
    const checked = frame(text, { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 0 });
    const zeros = frame(Buffer.alloc(500_000));
    const small = frame(Buffer.from('x'));
    const file = Buffer.concat([skipped, checked, skipped, zeros, small, frame(Buffer.alloc(0)), skipped]);
    const found = await plain(file, size);
    expect(found.equals(Buffer.concat([text, Buffer.alloc(500_000), Buffer.from('x')]))).toBe(true);
  });

  test.each([1, 3, 9, 19])('of level %d has blocks that are packed and such that are not', async (level) => {
    const packed = frame(Buffer.concat([text, noise]), { [constants.ZSTD_c_compressionLevel]: level });
    expect((await plain(packed)).equals(Buffer.concat([text, noise]))).toBe(true);
  });

  test('without a frame is empty', async () => {
    expect(await plain(Buffer.alloc(0))).toHaveLength(0);
    expect(await plain(skipped)).toHaveLength(0);
  });

  test.each([
    ['ends within a frame', frame(noise).subarray(0, 200_000)],
    ['ends within what is skipped', skipped.subarray(0, 10)],
    ['has other bytes after a frame', Buffer.concat([frame(text), Buffer.from('what is this')])],
    [
      'has a frame that is wrong within',
      Buffer.concat([frame(text), Buffer.from('28b52ffd04ff0d000000ffffff', 'hex')]),
    ],
  ])('that %s is damaged', async (_how, content) => {
    await expect(plain(content)).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
      message: expect.stringContaining('the blob'),
    });
  });
});

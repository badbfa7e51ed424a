import { describe, expect, test } from '@jest/globals';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';

type Entry = Partial<Header> & { readonly name: string };
import { readArchive } from '../../../../src/action/cache/archive.ts';

async function tarOf(entries: readonly (readonly [Entry, string | Buffer])[]): Promise<Buffer> {
  const archive = pack();
  for (const [header, content] of entries) archive.entry(header, content as Buffer);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function* inPieces(bytes: Buffer, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(
  bytes: Buffer,
  files: Readonly<Record<string, number>> = { a: 100, b: 100 },
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, body } of readArchive(inPieces(bytes), {
    path: 'dir',
    files: new Map(Object.entries(files)),
  })) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    found[name] = Buffer.concat(chunks).toString();
  }
  return found;
}

const GOOD: readonly (readonly [Entry, string])[] = [
  [{ name: 'dir/', type: 'directory' }, ''],
  [{ name: 'dir/a' }, 'first'],
  [{ name: 'dir/b', pax: { mtime: '1700000000.5' } }, 'second'],
];

describe('readArchive', () => {
  test.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('reads what the toolkit packs with %s', async (_, compress) => {
    expect(await read(compress(await tarOf(GOOD)))).toEqual({ a: 'first', b: 'second' });
  });

  test.each([
    ['an absolute path', { name: '/home/runner/.bashrc' }],
    ['a path that climbs', { name: 'dir/../../action.yml' }],
    ['a name that was not asked for', { name: 'dir/c' }],
    ['a folder inside', { name: 'dir/sub/', type: 'directory' }],
    ['a symbolic link', { name: 'dir/a', type: 'symlink', linkname: '/etc/passwd' }],
    ['a hard link', { name: 'dir/a', type: 'link', linkname: '/etc/passwd' }],
    ['a device', { name: 'dir/a', type: 'character-device' }],
  ] as readonly (readonly [string, Entry])[])('refuses %s', async (_, header) => {
    await expect(read(gzipSync(await tarOf([[header, '']])))).rejects.toMatchObject({ code: 'CACHE_ARCHIVE' });
  });

  test('refuses a file twice, and one that is larger than it may be', async () => {
    await expect(read(gzipSync(await tarOf([...GOOD, [{ name: 'dir/a' }, 'again']])))).rejects.toMatchObject({
      code: 'CACHE_ARCHIVE',
    });
    await expect(read(gzipSync(await tarOf(GOOD)), { a: 4, b: 100 })).rejects.toThrow('a has 5 bytes');
  });

  test('stops a bomb of bytes that no header has announced', async () => {
    const padding = Buffer.concat([await tarOf([[{ name: 'dir/a' }, 'x']]), Buffer.alloc(64 * 1024 * 1024)]);
    await expect(read(gzipSync(padding))).rejects.toThrow('more bytes than its files');
    // An extended header of 32 MiB, which the tar reader would keep in memory.
    const extended = await tarOf([[{ name: 'dir/a' }, Buffer.alloc(32 * 1024 * 1024, 'a')]]);
    extended[156] = 'x'.charCodeAt(0);
    extended.write('        ', 148);
    const sum = extended.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    extended.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    await expect(read(gzipSync(extended))).rejects.toMatchObject({ code: 'CACHE_ARCHIVE' });
  });

  test('refuses what is cut, flipped or something else', async () => {
    const good = zstdCompressSync(await tarOf([[{ name: 'dir/a' }, 'x'.repeat(90)]]));
    for (let end = 0; end < good.length; end += 7)
      await expect(read(good.subarray(0, end))).rejects.toMatchObject({ code: 'CACHE_ARCHIVE' });
    await expect(read(Buffer.from('PK\u0003\u0004 something'))).rejects.toThrow('neither zstd nor gzip');
  });

  test('gives the error of what it reads from', async () => {
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield gzipSync(Buffer.alloc(10)).subarray(0, 8);
      throw new Error('the connection broke');
    };
    const reading = async (): Promise<void> => {
      for await (const _ of readArchive(failing(), { path: 'dir', files: new Map() }))
        throw new Error('nothing was expected');
    };
    await expect(reading()).rejects.toThrow('the connection broke');
  });
});

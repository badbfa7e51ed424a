import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, utimes, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collect } from '../../../engine/base/collect.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import type { Descriptor } from '../../../engine/image/types.ts';
import { createContentStore } from '../../../engine/store/content.ts';
import { openLayout, type ContentStore } from '../../../engine/store/index.ts';

let root = '';
let content: ContentStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-content-'));
  await openLayout(root);
  content = open();
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const open = (): ContentStore => createContentStore(root, async () => undefined);
const bytes = Buffer.from('some layer');
const blob: Descriptor = { mediaType: 'text/plain', digest: digestOf(bytes), size: bytes.length };
async function* source(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
const ingests = (): Promise<string[]> => readdir(join(root, 'ingest'));
const pathOf = (digest: Descriptor['digest']): string => join(root, content.pathOf(digest));

describe('the content store', () => {
  test('stores bytes under their digest and gives them back', async () => {
    expect(await content.push(blob, () => source(bytes.subarray(0, 3), bytes.subarray(3)))).toBe('pushed');
    expect(await collect(content.fetch(blob), 'blob', 100)).toEqual(bytes);
    expect(await content.exists(blob)).toBe(true);
    expect(await ingests()).toEqual([]);
  });

  test('does not read the source of what is there', async () => {
    await content.push(blob, () => source(bytes));
    let read = false;
    const outcome = await content.push(blob, () => {
      read = true;
      return source(bytes);
    });
    expect([outcome, read]).toEqual(['exists', false]);
  });

  test('leaves nothing behind of bytes with another digest or size', async () => {
    await expect(content.push(blob, () => source(Buffer.from('some loser')))).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
    await expect(content.push(blob, () => source(bytes, bytes))).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    expect([await ingests(), await content.list()]).toEqual([[], []]);
  });

  test('leaves nothing behind of a source that breaks off', async () => {
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 3);
      throw new Error('connection reset');
    };
    await expect(content.push(blob, broken)).rejects.toThrow('connection reset');
    expect([await ingests(), await content.list()]).toEqual([[], []]);
  });

  test('replaces a blob whose size is wrong', async () => {
    await writeFile(pathOf(blob.digest), 'half');
    expect(await content.exists(blob)).toBe(false);
    expect(await content.push(blob, () => source(bytes))).toBe('pushed');
    expect(await readFile(pathOf(blob.digest))).toEqual(bytes);
  });

  test('replaces a blob of the right size with the wrong bytes, once a process has looked', async () => {
    await writeFile(pathOf(blob.digest), 'SOME LAYER');
    expect(await content.push(blob, () => source(bytes))).toBe('pushed');
    expect(await readFile(pathOf(blob.digest))).toEqual(bytes);
  });

  test('throws rather than hand out wrong bytes', async () => {
    await content.push(blob, () => source(bytes));
    await writeFile(pathOf(blob.digest), 'SOME LAYER');
    await expect(collect(content.fetch(blob), 'blob', 100)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
  });

  test('names what is not there', async () => {
    await expect(content.read(blob.digest)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(collect(content.fetch(blob), 'blob', 100)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('takes no digest that would leave the folder', async () => {
    await expect(content.read('sha256:../../../etc/passwd')).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
  });

  test('moves in what the helper has written, and refuses another size', async () => {
    const ingest = content.newIngest();
    await writeFile(join(root, ingest), bytes);
    await content.commit(ingest, blob);
    expect(await readFile(pathOf(blob.digest))).toEqual(bytes);
    const other = content.newIngest();
    await writeFile(join(root, other), 'short');
    await expect(content.commit(other, { digest: digestOf('x'), size: 99 })).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
    expect(await ingests()).toEqual([]);
  });

  test('keeps the first of two writers of one blob', async () => {
    const stores = [content, open(), open(), open()];
    const outcomes = await Promise.all(stores.map((store) => store.push(blob, () => source(bytes))));
    expect(outcomes.every((outcome) => outcome === 'pushed' || outcome === 'exists')).toBe(true);
    expect(await content.list()).toEqual([{ digest: blob.digest, size: blob.size }]);
    expect(await ingests()).toEqual([]);
  });

  test('does not touch a blob that is right', async () => {
    await content.push(blob, () => source(bytes));
    const then = new Date('2001-01-01');
    await utimes(pathOf(blob.digest), then, then);
    await open().push(blob, () => source(bytes));
    expect((await stat(pathOf(blob.digest))).mtime).toEqual(then);
  });

  test('hashes an upload that comes in pieces', async () => {
    const ingest = await content.openIngest();
    await ingest.write(bytes.subarray(0, 4));
    await ingest.write(bytes.subarray(4));
    await ingest.commit(blob.digest);
    await ingest.abort();
    expect(await content.size(blob.digest)).toBe(bytes.length);
    const wrong = await content.openIngest();
    await wrong.write(bytes);
    await expect(wrong.commit(digestOf('other'))).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    expect(await ingests()).toEqual([]);
  });

  test('stops with the reason of the signal', async () => {
    const controller = new AbortController();
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 3);
      controller.abort(new Error('enough'));
      yield bytes.subarray(3);
    };
    await expect(content.push(blob, endless, { signal: controller.signal })).rejects.toThrow('enough');
    expect(await ingests()).toEqual([]);
  });
});

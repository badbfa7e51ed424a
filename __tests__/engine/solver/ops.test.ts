import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Context, ContextEntry } from '../../../engine/context/index.ts';
import { createLogTail } from '../../../engine/solver/log-tail.ts';
import { refuseArchives } from '../../../engine/solver/ops/archive.ts';
import { resolveOwner } from '../../../engine/solver/ops/owner.ts';
import { scratch } from './doubles.ts';

describe('resolveOwner', () => {
  const asked: string[] = [];
  const identify = async (user: string): Promise<{ uid: number; gid: number }> => {
    asked.push(user);
    return user.startsWith('0:') ? { uid: 0, gid: 50 } : { uid: 1001, gid: 1002 };
  };
  beforeEach(() => void (asked.length = 0));

  test.each([
    ['', 0, 0, []],
    ['7', 7, 7, []],
    ['7:8', 7, 8, []],
    [':8', 0, 8, []],
    ['app', 1001, 1002, ['app']],
    ['app:8', 1001, 8, ['app']],
    ['app:staff', 1001, 50, ['app', '0:staff']],
    ['7:staff', 7, 50, ['0:staff']],
  ])('gives for "%s" %d:%d', async (text, uid, gid, names) => {
    expect(await resolveOwner(text, identify)).toEqual({ uid, gid });
    expect(asked).toEqual(names);
  });

  test('refuses ids out of range and a third part', async () => {
    await expect(resolveOwner('4294967295', identify)).rejects.toMatchObject({ code: 'INVALID_USER' });
    await expect(resolveOwner('a:b:c', identify)).rejects.toMatchObject({ code: 'INVALID_USER' });
  });
});

describe('createLogTail', () => {
  test('keeps the last lines, however they come', () => {
    const tail = createLogTail();
    for (let line = 1; line <= 30; line += 1) tail.add(Buffer.from(`line ${line}\n`));
    expect(tail.lines()).toHaveLength(20);
    expect(tail.lines().at(-1)).toBe('line 30');
  });

  test('keeps the end of a line without end', () => {
    const tail = createLogTail();
    tail.add(Buffer.alloc(1_000_000, 'x'));
    expect(tail.lines()[0]?.length).toBeLessThan(20_000);
    expect(createLogTail().lines()).toEqual([]);
  });
});

describe('refuseArchives', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-archive-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const add = async (name: string, content: Uint8Array): Promise<void> => {
    await writeFile(join(folder, name), content);
    const entry: ContextEntry = {
      path: Buffer.from(name),
      type: 'file',
      mode: 0o644,
      size: content.length,
      mtimeNs: 0n,
      ctimeNs: 0n,
      inode: 1n,
    };
    const context: Pick<Context, 'pathOf'> = { pathOf: ({ path }) => Buffer.from(join(folder, path.toString())) };
    // Type: only pathOf is asked.
    await refuseArchives(context as Context, scratch(), [{ entry, dest: Buffer.alloc(0) }]);
  };

  /** A tar header with a right checksum, of a file without content. */
  function tar(): Buffer {
    const block = Buffer.alloc(1536);
    block.write('file.txt', 0);
    block.write('0000644\0', 100);
    block.write('00000000000\0', 124);
    block.write('        ', 148);
    block.write('ustar\0', 257);
    const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return block;
  }

  test.each([
    ['a plain tar', tar(), 'a tar archive'],
    ['a packed tar', gzipSync(tar()), 'packed with gzip'],
    ['bzip2', Buffer.from('BZh91AY&SY'), 'bzip2'],
    ['xz', Buffer.from('fd377a585a0000', 'hex'), 'xz'],
  ])('names %s', async (_what, content, kind) => {
    await expect(add('data', content)).rejects.toMatchObject({
      code: 'ADD_ARCHIVE_UNSUPPORTED',
      message: expect.stringContaining(kind),
    });
  });

  test.each([
    ['text', Buffer.from('hello')],
    ['nothing', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(2048)],
    ['a packed file that is no archive', gzipSync(Buffer.alloc(100_000, 'weights'))],
    ['a broken gzip file', Buffer.from('1f8b0800deadbeef', 'hex')],
  ])('lets %s through', async (_what, content) => {
    await expect(add('model.tar.gz', content)).resolves.toBeUndefined();
  });
});

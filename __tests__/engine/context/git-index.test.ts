import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { blobId } from '../../../engine/context/content.ts';
import { parseGitIndex, type GitIndex, type ObjectFormat } from '../../../engine/context/git-index.ts';
import { git, makeRepository } from '../../helpers/git.ts';
import { runs } from '../../helpers/property.ts';

let folder: string;
/** Indexes of one and the same files. */
const indexes = new Map<string, Buffer>();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-index-'));
  for (const format of ['sha1', 'sha256'] as const) {
    const root = join(folder, format);
    makeRepository(root, FILES, { format });
    for (const version of [2, 4]) {
      git(root, 'update-index', '--index-version', String(version));
      indexes.set(`${format} ${version}`, readFileSync(join(root, '.git/index')));
    }
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FILES = {
  '.gitattributes': '* -text\n',
  a: 'one',
  'deep/er/.gitattributes': '',
  'deep/er/and/er': 'two',
  'deep/er/x!': '#!/bin/sh\n',
};

function parse(bytes: Buffer, format: ObjectFormat = 'sha1'): GitIndex {
  const index = parseGitIndex(bytes, format);
  if (!index) throw new Error('the index is not understood');
  return index;
}

/** The index with another content, and the checksum of that. */
function sealed(content: Buffer): Buffer {
  return Buffer.concat([content, createHash('sha1').update(content).digest()]);
}

function contentOf(version: number): Buffer {
  return (indexes.get(`sha1 ${version}`) ?? Buffer.alloc(0)).subarray(0, -20);
}

describe('parseGitIndex', () => {
  test.each([...['sha1', 'sha256'].flatMap((format) => [2, 4].map((version) => [format, version] as const))])(
    'reads what git wrote: %s, version %d',
    (format, version) => {
      const bytes = indexes.get(`${format} ${version}`) ?? Buffer.alloc(0);
      expect(bytes.readUInt32BE(4)).toBe(version);
      const { files, attributes } = parse(bytes, format as ObjectFormat);
      expect([...files.keys()]).toEqual(Object.keys(FILES));
      expect([...attributes]).toEqual(['.gitattributes', 'deep/er/.gitattributes']);
      for (const [name, content] of Object.entries(FILES)) {
        const stat = lstatSync(join(folder, format, name), { bigint: true });
        expect(files.get(name)).toEqual({
          oid: blobId(Buffer.from(content), format as ObjectFormat),
          isExecutable: name.endsWith('!'),
          mtimeNs: stat.mtimeNs,
          ctimeNs: stat.ctimeNs,
          inode: Number(stat.ino & 0xffff_ffffn),
          size: content.length,
        });
      }
    },
  );

  test('leaves out what git does not compare: assumed, skipped and intended files, conflicts, links and submodules', () => {
    const root = join(folder, 'flags');
    makeRepository(root, { assumed: '1', skipped: '2', plain: '3', both: 'base' });
    writeFileSync(join(root, 'intended'), '4');
    git(root, 'update-index', '--assume-unchanged', 'assumed');
    git(root, 'update-index', '--skip-worktree', 'skipped');
    git(root, 'add', '--intent-to-add', 'intended');
    const oid = git(root, 'hash-object', '-w', 'plain').trim();
    const commit = git(root, 'rev-parse', 'HEAD').trim();
    git(root, 'update-index', '--add', '--cacheinfo', `160000,${commit},module`);
    git(root, 'update-index', '--add', '--cacheinfo', `120000,${oid},link`);
    const sides = [0, 1, 2, 3].map((stage) => `${stage === 0 ? '0'.repeat(6) : '100644'} ${oid} ${stage}\tboth\n`);
    git(root, { input: sides.join('') }, 'update-index', '--index-info');
    const bytes = readFileSync(join(root, '.git/index'));
    expect(bytes.readUInt32BE(4)).toBe(3);
    expect([...parse(bytes).files.keys()]).toEqual(['plain']);
  });

  test('refuses an index that needs another file, and one with what must be understood', () => {
    const root = join(folder, 'split');
    makeRepository(root, { a: '1' });
    git(root, 'update-index', '--split-index');
    expect(parseGitIndex(readFileSync(join(root, '.git/index')), 'sha1')).toBeUndefined();
    const extension = (name: string): Buffer => Buffer.concat([Buffer.from(name), Buffer.alloc(4)]);
    expect(parseGitIndex(sealed(Buffer.concat([contentOf(2), extension('XTRA')])), 'sha1')?.files.size).toBe(5);
    for (const name of ['sdir', 'link', 'what', '\0\0\0\0']) {
      expect(parseGitIndex(sealed(Buffer.concat([contentOf(2), extension(name)])), 'sha1')).toBeUndefined();
    }
  });

  test('refuses another version, another format, and what is cut or changed anywhere', () => {
    const [whole = Buffer.alloc(0)] = indexes.values();
    for (const version of [0, 1, 5]) {
      const other = Buffer.from(contentOf(2));
      other.writeUInt32BE(version, 4);
      expect(parseGitIndex(sealed(other), 'sha1')).toBeUndefined();
    }
    expect(parseGitIndex(whole, 'sha256')).toBeUndefined();
    for (let length = 0; length < whole.length; length += 1) {
      expect(parseGitIndex(whole.subarray(0, length), 'sha1')).toBeUndefined();
      const changed = Buffer.from(whole);
      changed[length] = (changed[length] ?? 0) ^ 0x10;
      expect(parseGitIndex(changed, 'sha1')).toBeUndefined();
    }
  });

  test('takes an index without a checksum, as git does with index.skipHash', () => {
    expect(parse(Buffer.concat([contentOf(4), Buffer.alloc(20)])).files.size).toBe(5);
  });

  test('ends on any bytes, with entries that lie inside them', () => {
    const edits = fc.array(fc.tuple(fc.nat({ max: 600 }), fc.integer({ min: 0, max: 255 })), { maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom(2, 3, 4), edits, fc.nat({ max: 600 }), (version, changes, cut) => {
        const content = Buffer.from(contentOf(version === 4 ? 4 : 2)).subarray(0, 700 - cut);
        for (const [at, value] of changes) if (at < content.length) content[at] = value;
        if (content.length >= 8 && version === 3) content.writeUInt32BE(3, 4);
        const index = parseGitIndex(sealed(content), 'sha1');
        for (const name of index?.files.keys() ?? []) expect(name.length).toBeLessThanOrEqual(content.length);
      }),
      runs(2000),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const content = Buffer.concat([Buffer.from('DIRC\0\0\0\u0004\0\0\0\u0002', 'latin1'), bytes]);
        parseGitIndex(sealed(content), 'sha1');
      }),
      runs(),
    );
  });
});

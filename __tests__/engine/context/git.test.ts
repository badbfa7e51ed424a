import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openContext, type Context, type GitTrust } from '../../../engine/context/index.ts';
import { git, makeRepository } from '../../helpers/git.ts';

let root: string;
let refreshes = 0;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'berth-git-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/**
 * Git looks at everything again and writes the index; files are older than it afterwards. Each call gives them another second: git may not compare
 * what is below one, and would leave its index as it is.
 */
function refresh(folder = root): void {
  refreshes += 1;
  const before = new Date(Date.now() - 60_000 - 2_000 * refreshes);
  for (const name of git(folder, 'ls-files', '-z').split('\0').filter(Boolean))
    utimesSync(join(folder, name), before, before);
  git(folder, 'update-index', '-q', '--refresh');
}

async function modes(folder = root, trust?: GitTrust): Promise<Readonly<Record<string, string>>> {
  const context = await openContext(folder, { modes: 'tracked', git: trust });
  const selected = await context.select(['.'], { destIsDirectory: true });
  const records = context.records(selected).toString().split('\0');
  return Object.fromEntries(
    selected.flatMap(({ entry }, at) => {
      const path = entry.path.toString();
      if (path.startsWith('.git/') || path === '.git') return [];
      // What the helper is told: nothing where the mode of the file itself is meant.
      const told = records[at * 4 + 2];
      if (told !== (entry.isNormalised ? entry.mode.toString(8) : '')) throw new Error(`${path}: ${told}`);
      return [[path, `${entry.isNormalised ? 'git ' : ''}${entry.mode.toString(8)}`]];
    }),
  );
}

async function digest(context: Context): Promise<string> {
  return context.digest(await context.select(['src'], { destIsDirectory: true }));
}

describe('modes of a work tree of git', () => {
  test('are those that git keeps, for clean files that it tracks; all others are exact', async () => {
    makeRepository(root, { a: '1', 'run!': '2', 'set!': '2', dirty: '3', 'd/e': '4', plain: '5', staged: '6' });
    symlinkSync('a', join(root, 'link'));
    git(root, 'add', 'link');
    for (const name of ['a', 'dirty', 'd/e', 'staged']) chmodSync(join(root, name), 0o664);
    chmodSync(join(root, 'run!'), 0o775);
    // No umask gives it.
    chmodSync(join(root, 'set!'), 0o4775);
    chmodSync(join(root, 'd'), 0o775);
    refresh();
    writeFileSync(join(root, 'new'), '7');
    chmodSync(join(root, 'new'), 0o600);
    writeFileSync(join(root, 'dirty'), 'x');
    expect(await modes()).toEqual({
      a: 'git 644',
      'run!': 'git 755',
      'set!': '4775',
      d: '775',
      'd/e': 'git 644',
      dirty: '664',
      link: '777',
      new: '600',
      plain: '644',
      staged: 'git 644',
    });
    // The work tree may begin above the context.
    expect(await modes(join(root, 'd'))).toEqual({ e: 'git 644' });
  });

  test('are found by the content where the times say nothing', async () => {
    makeRepository(root, { young: '1', touched: '2', other: '3', empty: '' });
    for (const name of ['young', 'touched', 'other', 'empty']) chmodSync(join(root, name), 0o640);
    const earlier = new Date(5_000);
    utimesSync(join(root, 'touched'), earlier, earlier);
    writeFileSync(join(root, 'other'), '4');
    expect(await modes()).toEqual({ young: 'git 644', touched: 'git 644', other: '640', empty: 'git 644' });
  });

  test('are exact where the executable bit is not the one of the index, or git does not go by it', async () => {
    makeRepository(root, { a: '1', 'b!': '2' });
    chmodSync(join(root, 'a'), 0o775);
    chmodSync(join(root, 'b!'), 0o664);
    refresh();
    expect(await modes()).toEqual({ a: '775', 'b!': '664' });
    for (const name of ['a', 'b!']) chmodSync(join(root, name), name === 'a' ? 0o664 : 0o775);
    refresh();
    expect(await modes()).toEqual({ a: 'git 644', 'b!': 'git 755' });
    git(root, 'config', 'core.fileMode', 'false');
    expect(await modes()).toEqual({ a: '664', 'b!': '775' });
  });

  test('are exact where git was told not to look', async () => {
    makeRepository(root, { a: '1', b: '2' });
    for (const name of ['a', 'b']) chmodSync(join(root, name), 0o664);
    git(root, 'update-index', '--assume-unchanged', 'a');
    git(root, 'update-index', '--skip-worktree', 'b');
    expect(await modes()).toEqual({ a: '664', b: '664' });
  });

  test('are found in a further work tree and in a repository with SHA-256, not in what is none', async () => {
    makeRepository(join(root, 'main'), { a: '1' }, { format: 'sha256' });
    git(join(root, 'main'), 'worktree', 'add', '--quiet', '../other');
    for (const folder of ['main', 'other']) chmodSync(join(root, folder, 'a'), 0o664);
    expect(await modes(join(root, 'other'))).toEqual({ a: 'git 644' });
    expect(await modes(join(root, 'main'))).toEqual({ a: 'git 644' });
    writeFileSync(join(root, 'other/.git'), 'gitdir: /nowhere\n');
    expect(await modes(join(root, 'other'))).toEqual({ a: '664' });
    git(join(root, 'main'), 'config', 'extensions.new', 'x');
    expect(await modes(join(root, 'main'))).toEqual({ a: '664' });
  });

  const asRoot = process.getuid?.() === 0 ? test : test.skip;
  asRoot('are exact where any part of the repository belongs to somebody else (needs root)', async () => {
    const give = (name: string, uid: number): void => lchownSync(join(root, name), uid, 0);
    for (const name of ['', '.git', '.git/index']) {
      rmSync(root, { recursive: true, force: true });
      makeRepository(root, { 'd/a': '1' });
      chmodSync(join(root, 'd/a'), 0o664);
      give(name, 4321);
      expect([name, await modes(join(root, 'd'))]).toEqual([name, { a: '664' }]);
      // Who calls through sudo is believed, as git does.
      expect([name, await modes(join(root, 'd'), { sudoUid: 4321 })]).toEqual([name, { a: 'git 644' }]);
      expect([name, await modes(join(root, 'd'), { sudoUid: 4322 })]).toEqual([name, { a: '664' }]);
    }
    chownSync(root, 0, 0);
    git(root, 'worktree', 'add', '--quiet', 'other');
    chmodSync(join(root, 'other/d/a'), 0o664);
    chownSync(join(root, '.git/index'), 4321, 0);
    expect(await modes(join(root, 'other/d'))).toEqual({ a: 'git 644' });
    give('other/.git', 4321);
    expect(await modes(join(root, 'other/d'))).toEqual({ a: '664' });
  });

  test('do not fail for a broken repository, nor for a file that nobody may read', async () => {
    makeRepository(root, { a: '1' });
    chmodSync(join(root, 'a'), 0o664);
    for (const [name, content] of [
      ['config', '[core\n\tfilemode = \0'],
      ['index', 'DIRC nonsense'],
    ] as const) {
      const saved = join(root, '.git', name);
      writeFileSync(saved, content);
      expect(await modes()).toEqual({ a: '664' });
    }
    rmSync(join(root, '.git/index'));
    mkdirSync(join(root, '.git/index'));
    expect(await modes()).toEqual({ a: '664' });
  });
});

describe('content of a work tree of git', () => {
  const later = (): number => Date.now() + 3_600_000;

  function memory() {
    const entries = new Map<string, string>();
    return { entries, cache: { load: async () => entries, save: async () => undefined } };
  }

  /** Whether a digest comes out of what the cache says of blobs: the cache is made to say something else. */
  async function isBelieved(change: () => void, trust?: GitTrust): Promise<boolean> {
    const { entries, cache } = memory();
    const open = (how?: GitTrust) => openContext(root, { modes: 'tracked', git: how, statCache: cache, now: later });
    await digest(await open());
    const blobs = [...entries].filter(([key]) => key.startsWith('git:'));
    expect(blobs).toHaveLength(1);
    entries.clear();
    for (const [key, value] of blobs) entries.set(key, value.replace(/[0-9a-f]{64}$/, 'f'.repeat(64)));
    change();
    return (await digest(await open(trust))) !== (await digest(await openContext(root)));
  }

  test('is known by the blob in another checkout, and the digest is that of a reading', async () => {
    makeRepository(root, { 'src/a': 'one' });
    refresh();
    const { entries, cache } = memory();
    const read = await digest(await openContext(root));
    expect(await digest(await openContext(root, { modes: 'tracked', statCache: cache, now: later }))).toBe(read);
    const keys = [...entries.keys()].filter((key) => !key.startsWith('git:'));
    for (const key of keys) entries.delete(key);
    expect(await digest(await openContext(root, { modes: 'tracked', statCache: cache, now: later }))).toBe(read);
    expect(await isBelieved(() => refresh())).toBe(true);
  });

  test('is read where git would look again, or may store something else than the file', async () => {
    const cases: Readonly<Record<string, () => void>> = {
      'the file was touched': () => utimesSync(join(root, 'src/a'), new Date(9_000), new Date(9_000)),
      'the file is as young as the index': () => {
        utimesSync(join(root, '.git/index'), new Date(1_000), new Date(1_000));
      },
      'it is assumed to be unchanged': () => git(root, 'update-index', '--assume-unchanged', 'src/a'),
      'a filter may apply': () => writeFileSync(join(root, 'src/.gitattributes'), '*.ipynb filter=strip\n'),
      'it may be encoded': () => writeFileSync(join(root, '.gitattributes'), '*.txt working-tree-encoding=UTF-16\n'),
      'it may hold its own id': () => writeFileSync(join(root, '.git/info/attributes'), '* ident\n'),
      'lines may end otherwise': () => git(root, 'config', 'core.autocrlf', 'input'),
      'a file that is included converts': () => {
        writeFileSync(join(root, '.git/more'), '[core]\n\teol = crlf\n');
        git(root, 'config', 'includeIf.onbranch:x.path', 'more');
      },
      'what is included cannot be told': () => git(root, 'config', 'include.path', '~other/config'),
      'files include each other': () => git(root, 'config', 'include.path', 'config'),
      'attributes are no file': () => mkdirSync(join(root, 'src/.gitattributes')),
    };
    for (const [name, change] of Object.entries(cases)) {
      rmSync(root, { recursive: true, force: true });
      makeRepository(root, { 'src/a': 'one' });
      mkdirSync(join(root, '.git/info'), { recursive: true });
      refresh();
      expect([name, await isBelieved(change)]).toEqual([name, false]);
    }
  });

  test('is known where all that is included leaves files as they are, and not where git reads more', async () => {
    makeRepository(root, { 'src/a': 'one' });
    writeFileSync(join(root, '.git/more'), '[user]\n\tname = A\n');
    git(root, 'config', 'include.path', 'more');
    git(root, 'config', 'includeIf.gitdir:/x/.path', '/nowhere/credentials.config');
    refresh();
    expect(await isBelieved(() => refresh())).toBe(true);
    expect(await isBelieved(() => refresh(), { isConfigElsewhere: true })).toBe(false);
  });

  test('of another size than that of the blob is read', async () => {
    makeRepository(root, { 'src/a': 'one' });
    refresh();
    const { entries, cache } = memory();
    const size = lstatSync(join(root, 'src/a')).size;
    const open = () => openContext(root, { modes: 'tracked', statCache: cache, now: later });
    const read = await digest(await open());
    for (const [key, value] of entries) {
      if (key.startsWith('git:')) entries.set(key, `${size + 1}:${'f'.repeat(64)}`);
      else entries.delete(key);
      expect(value).toContain(String(size));
    }
    expect(await digest(await open())).toBe(read);
  });
});

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EngineError } from '../../../engine/base/errors.ts';
import type { WarningEvent } from '../../../engine/base/progress.ts';
import {
  openContext,
  type Context,
  type OpenContextOptions,
  type ReadContents,
  type Selected,
} from '../../../engine/context/index.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'berth-context-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, content = path): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

async function select(sources: readonly string[], options: OpenContextOptions & { destIsDirectory?: boolean } = {}) {
  const context = await openContext(root, options);
  return show(await context.select(sources, { destIsDirectory: options.destIsDirectory ?? true }));
}

function show(selected: readonly Selected[]): readonly string[] {
  return selected.map(({ entry, dest }) => `${entry.path.toString()} -> ${dest.toString()}`);
}

async function digest(context: Context, sources: readonly string[] = ['.'], mode?: number): Promise<string> {
  return context.digest(await context.select(sources, { destIsDirectory: true }), { mode });
}

async function errorOf(act: Promise<unknown>): Promise<EngineError> {
  try {
    await act;
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('openContext', () => {
  test('refuses a root that is missing, a file, or /', async () => {
    const file = write('file');
    expect((await errorOf(openContext(join(root, 'none')))).code).toBe('CONTEXT_INVALID');
    expect((await errorOf(openContext(file))).message).toContain('it is no directory');
    expect((await errorOf(openContext('/'))).message).toContain('Cannot use / as build context');
    symlinkSync('/', join(root, 'slash'));
    expect((await errorOf(openContext(join(root, 'slash')))).code).toBe('CONTEXT_INVALID');
  });

  test('refuses a root that holds the store, also through a link', async () => {
    mkdirSync(join(root, 'project/store'), { recursive: true });
    symlinkSync(join(root, 'project'), join(root, 'link'));
    const forbid = [join(root, 'project/store')];
    const error = await errorOf(openContext(join(root, 'link'), { forbid }));
    expect(error.message).toContain('contains the engine store');
    await expect(openContext(join(root, 'project'), { forbid: [join(root, 'project-2')] })).resolves.toBeDefined();
  });

  test('leaves out FIFOs and sockets with a warning, and never opens them', async () => {
    write('file');
    execFileSync('mkfifo', [join(root, 'fifo')]);
    const server = await listen(join(root, 'socket'));
    const warnings: WarningEvent[] = [];
    const context = await openContext(root, { onEvent: (event) => warnings.push(event) });
    expect(show(await context.select(['.'], { destIsDirectory: true }))).toEqual(['file -> file']);
    expect(context.skipped).toEqual(['fifo', 'socket']);
    expect(warnings.map(({ message }) => message)).toEqual([
      'Left out of the build context: fifo is a FIFO',
      'Left out of the build context: socket is a socket',
    ]);
    expect((await errorOf(context.select(['fifo'], { destIsDirectory: true }))).message).toContain('it is a FIFO');
    await new Promise((resolve) => server.close(resolve));
  });

  test('warns of a token in .git/config when a COPY takes it, once', async () => {
    const warnings: WarningEvent[] = [];
    write('src/a');
    const takes = async (text: string, sources: readonly string[]): Promise<number> => {
      write('.git/config', text);
      warnings.length = 0;
      const context = await openContext(root, { onEvent: (event) => warnings.push(event) });
      for (const source of sources) await context.select([source], { destIsDirectory: true });
      return warnings.length;
    };
    const token = '[http "https://github.com/"]\n\textraheader = AUTHORIZATION: basic dG9rZW4=\n';
    expect(await takes(token, ['.', '.git'])).toBe(1);
    expect(warnings[0]).toMatchObject({ message: expect.stringContaining('.git/config holds a credential') });
    expect(await takes('[remote "origin"]\n\turl = https://x:token@github.com/a/b\n', ['.'])).toBe(1);
    expect(await takes(token, ['src'])).toBe(0);
    expect(await takes('[remote "origin"]\n\turl = git@github.com:a/b\n\tpushurl = ssh://git@c/d\n', ['.'])).toBe(0);
    write('.dockerignore', '.git');
    expect(await takes(token, ['.'])).toBe(0);
  });

  test('keeps names that are no UTF-8 apart, byte by byte', async () => {
    for (const byte of [0xff, 0xfe])
      writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([byte])]), String(byte));
    const context = await openContext(root);
    const selected = await context.select(['.'], { destIsDirectory: true });
    expect(selected.map(({ dest }) => [...dest])).toEqual([[0xfe], [0xff]]);
    expect(await context.digest(selected.slice(0, 1))).not.toBe(await context.digest(selected.slice(1)));
  });

  test('takes names that look like commands as they are', async () => {
    const names = ['a\nb', '--from=x', '::set-output name=a::b', '$(id)', '\u001b[31m', 'a\tb'];
    for (const name of names) write(name);
    const context = await openContext(root);
    const selected = await context.select(['.'], { destIsDirectory: true });
    expect(selected.map(({ entry }) => entry.path.toString()).sort()).toEqual([...names].sort());
  });

  test('lists a tree that is a thousand directories deep', async () => {
    const deep = Array.from({ length: 1000 }, () => 'd').join('/');
    mkdirSync(join(root, deep), { recursive: true });
    const context = await openContext(root);
    expect(await context.select(['.'], { destIsDirectory: true })).toHaveLength(1000);
  });

  test('names a tree that is deeper than a path can say, and what to do; ignored it does no harm', async () => {
    const name = 'n'.repeat(255);
    const half = Array.from({ length: 8 }, () => name).join('/');
    for (const folder of [half, `other/${half}`]) mkdirSync(join(root, folder), { recursive: true });
    renameSync(join(root, 'other'), join(root, half, 'other'));
    const error = await errorOf(openContext(root));
    expect([error.code, error.hint]).toEqual(['CONTEXT_INVALID', expect.stringContaining('longer than 4095 bytes')]);
    expect(error.message.length).toBeLessThan(700);
    write('.dockerignore', 'n*');
    expect(await select(['.'])).toEqual(['.dockerignore -> .dockerignore']);
    execFileSync('rm', ['-rf', join(root, name)]);
  });

  test('stops when it is cancelled, with the reason given', async () => {
    const reason = new Error('the user left');
    await expect(openContext(root, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('ignore files', () => {
  beforeEach(() => {
    for (const path of ['app/main.py', 'app/__pycache__/main.pyc', 'models/a.onnx', 'models/README.md', '.env'])
      write(path);
  });

  test('hide what they name', async () => {
    write('.dockerignore', '**/__pycache__\n.env\nmodels/*.md\n');
    expect(await select(['.'])).toEqual(
      ['.dockerignore', 'app', 'app/main.py', 'models', 'models/a.onnx'].map((path) => `${path} -> ${path}`),
    );
  });

  test('bring back files with their directories, and nothing else', async () => {
    write('.dockerignore', '*\n!models/*.onnx\n');
    expect(await select(['.'])).toEqual(['models -> models', 'models/a.onnx -> models/a.onnx']);
  });

  test('of the Dockerfile go before that of the context', async () => {
    write('.dockerignore', 'app\n');
    const dockerfile = write('train.Dockerfile', 'FROM a');
    write('train.Dockerfile.dockerignore', '*\n!.env\n');
    expect(await select(['.'], { dockerfile })).toEqual(['.env -> .env']);
  });

  test('never widen the context', async () => {
    write('.dockerignore', '*\n!/etc\n!../../etc/passwd\n!..\n!app/main.py\n');
    expect(await select(['.'])).toEqual(['app -> app', 'app/main.py -> app/main.py']);
    expect((await errorOf(select(['../../etc/passwd']))).code).toBe('COPY_SOURCE_NOT_FOUND');
  });

  test.each([
    ['a link', 'it is a symbolic link', (path: string) => symlinkSync('/etc/passwd', path)],
    ['a FIFO', 'a FIFO', (path: string) => void execFileSync('mkfifo', [path])],
    ['a directory', 'a directory', (path: string) => mkdirSync(path)],
    ['a bad pattern', '"[" is no pattern', (path: string) => writeFileSync(path, 'a\n[\n')],
    ['a lone exclamation mark', '"!" is no pattern', (path: string) => writeFileSync(path, '!\n')],
  ])('are refused by name when they are %s', async (_what, part, make) => {
    const path = join(root, '.dockerignore');
    make(path);
    const error = await errorOf(openContext(root));
    expect(error.code).toBe('DOCKERIGNORE_INVALID');
    expect(error.message).toContain('.dockerignore');
    expect(error.message).toContain(part);
  });

  test('are refused when they are a device, without reading from it', async () => {
    const error = await errorOf(openContext(root, { ignoreFile: '/dev/zero' }));
    expect(error.message).toContain('a device');
  });

  // Root reads everything: only another user can see this.
  const asUser = process.getuid?.() === 0 ? test.skip : test;
  asUser('are refused when they cannot be read (needs a user other than root)', async () => {
    chmodSync(write('.dockerignore', 'a'), 0);
    const error = await errorOf(openContext(root));
    expect(error.message).toContain('EACCES');
  });
});

describe('select', () => {
  beforeEach(() => {
    for (const path of ['a.txt', 'b.txt', 'dir/c.txt', 'dir/sub/d.txt', 'dir2/e.txt', '[x].txt']) write(path);
  });

  test.each([
    [['a.txt'], false, ['a.txt -> /a.txt']],
    [['a.txt'], true, ['a.txt -> a.txt']],
    [['dir'], false, ['dir -> ', 'dir/c.txt -> c.txt', 'dir/sub -> sub', 'dir/sub/d.txt -> sub/d.txt']],
    [['dir/sub/'], true, ['dir/sub -> ', 'dir/sub/d.txt -> d.txt']],
    [['*.txt'], true, ['[x].txt -> [x].txt', 'a.txt -> a.txt', 'b.txt -> b.txt']],
    [['[ab].txt'], true, ['a.txt -> a.txt', 'b.txt -> b.txt']],
    [['[[]x].txt'], true, ['[x].txt -> [x].txt']],
    [['dir*/*.txt'], true, ['dir/c.txt -> c.txt', 'dir2/e.txt -> e.txt']],
    [['?.txt', 'dir2'], true, ['a.txt -> a.txt', 'b.txt -> b.txt', 'dir2 -> ', 'dir2/e.txt -> e.txt']],
    [['a.txt', 'none*'], true, ['a.txt -> a.txt']],
    [
      ['../../a.txt', '/b.txt', './dir/../dir2/e.txt'],
      true,
      ['a.txt -> a.txt', 'b.txt -> b.txt', 'dir2/e.txt -> e.txt'],
    ],
  ])('%j, directory %j', async (sources, destIsDirectory, wanted) => {
    expect(await select(sources, { destIsDirectory })).toEqual(wanted);
  });

  test.each([
    [
      'below the root',
      ['.'],
      ['dir/*/*.txt'],
      [],
      ['dir -> dir', 'dir/sub -> dir/sub', 'dir/sub/d.txt -> dir/sub/d.txt'],
    ],
    ['below a pivot', ['dir'], ['sub/d.txt'], [], ['dir -> ', 'dir/sub -> sub', 'dir/sub/d.txt -> sub/d.txt']],
    ['at any depth', ['.'], ['**/d.txt'], [], ['dir -> dir', 'dir/sub -> dir/sub', 'dir/sub/d.txt -> dir/sub/d.txt']],
    ['a whole directory', ['.'], ['dir2'], [], ['dir2 -> dir2', 'dir2/e.txt -> dir2/e.txt']],
    ['nothing for a pattern', ['.'], ['none*'], [], []],
    ['without names', ['dir'], [], ['*.txt'], ['dir -> ', 'dir/sub -> sub', 'dir/sub/d.txt -> sub/d.txt']],
    ['without a directory', ['dir'], [], ['sub'], ['dir -> ', 'dir/c.txt -> c.txt']],
    ['with an exception', ['.'], [], ['**', '!dir2/e.txt'], ['dir2 -> dir2', 'dir2/e.txt -> dir2/e.txt']],
    ['of files by their names', ['?.txt', 'dir/c.txt'], [], ['[ac].txt'], ['b.txt -> b.txt']],
    ['each directory once', ['.'], ['dir/c.txt'], ['none'], ['dir -> dir', 'dir/c.txt -> dir/c.txt']],
  ])('chooses %s', async (_what, sources, include, exclude, wanted) => {
    const context = await openContext(root);
    expect(show(await context.select(sources, { destIsDirectory: true, include, exclude }))).toEqual(wanted);
  });

  test('refuses a way of --parents that leads nowhere, and what is no pattern', async () => {
    const context = await openContext(root);
    const choose = (include: string[], exclude: string[] = []): Promise<unknown> =>
      context.select(['dir'], { destIsDirectory: true, include, exclude });
    expect((await errorOf(choose(['sub/none']))).message).toContain('"dir/sub/none"');
    const below = context.select(['a.txt'], { destIsDirectory: true, include: ['none'] });
    expect((await errorOf(below)).message).toContain('"a.txt/none"');
    expect((await errorOf(choose([], ['a[']))).code).toBe('COPY_PATTERN_INVALID');
  });

  test('takes the whole context, without an entry for its root', async () => {
    const all = await select(['.']);
    expect(all).toContain('dir/sub/d.txt -> dir/sub/d.txt');
    expect(all.every((line) => !line.startsWith(' ->'))).toBe(true);
  });

  test('says when a source is missing, and what may be meant', async () => {
    const error = await errorOf(select(['dir/cc.txt']));
    expect(error.code).toBe('COPY_SOURCE_NOT_FOUND');
    expect(error.message).toContain('"dir/cc.txt"');
    expect(error.hint).toBe('Did you mean dir/c.txt?');
  });

  test('says of a source above the context that it is not sent, and what to do', async () => {
    const error = await errorOf(select(['../../lib/a.py']));
    expect(error.message).toBe(
      `Cannot copy "../../lib/a.py": the build context ${root} does not hold what is above it`,
    );
    const above = resolve(root, '../..');
    expect(error.hint).toContain(`--build-context above=${above} and write COPY --from=above lib/a.py`);
    // As with Docker, `..` stops at the context.
    expect(await select(['../a.txt'])).toHaveLength(1);
  });

  test('takes no path of this machine, and says how it is written', async () => {
    const error = await errorOf(select([join(root, 'a.txt')]));
    expect([error.message, error.hint]).toEqual([
      `Cannot copy "${join(root, 'a.txt')}": its paths begin at the build context`,
      'Write a.txt',
    ]);
    // Also where the graph has made it relative to the context, and where nothing is there.
    const deeper = await openContext(join(root, 'dir'));
    for (const path of [join(root, 'dir/c.txt'), join(root, 'dir/none'), join(root, 'beside/x')]) {
      const { message } = await errorOf(deeper.select([path.slice(1)], { destIsDirectory: true }));
      expect(message).toContain(`Cannot copy "${path}": `);
    }
  });

  test('refuses a pattern that matches nothing, by name', async () => {
    expect((await errorOf(select(['none*']))).message).toContain('"none*"');
  });

  test('refuses what is no pattern', async () => {
    expect((await errorOf(select(['a[']))).code).toBe('COPY_PATTERN_INVALID');
  });

  test('says when the ignore file hides a source', async () => {
    write('.dockerignore', 'dir\n');
    const error = await errorOf(select(['dir/c.txt']));
    expect(error.message).toContain('.dockerignore hides it');
    expect(error.hint).toContain('!dir/c.txt');
  });

  test('says so too of a source that would climb out, where `..` stops at the root', async () => {
    write('.dockerignore', 'dir/c.txt\n');
    const error = await errorOf(select(['../dir/c.txt']));
    expect(error.message).toBe(
      `Cannot copy "../dir/c.txt": ${join(root, '.dockerignore')} hides it from the build context`,
    );
    expect((await errorOf(select(['../dir/none.txt']))).message).toContain('does not hold what is above it');
  });

  test('keeps links as links, and follows a source that is one inside the context', async () => {
    symlinkSync('dir', join(root, 'link'));
    symlinkSync('/a.txt', join(root, 'absolute'));
    symlinkSync('../../../../b.txt', join(root, 'climbing'));
    expect(await select(['absolute', 'climbing'])).toEqual(['a.txt -> absolute', 'b.txt -> climbing']);
    expect(await select(['link/sub'])).toEqual(['dir/sub -> ', 'dir/sub/d.txt -> d.txt']);
    const context = await openContext(root);
    const [first] = (await context.select(['.'], { destIsDirectory: true })).filter(
      ({ entry }) => entry.path.toString() === 'link',
    );
    expect(first?.entry).toMatchObject({ type: 'symlink', linkTarget: Buffer.from('dir') });
  });

  test('copies a link that leaves the context as the link it is', async () => {
    symlinkSync('/etc/shadow', join(root, 'shadow'));
    symlinkSync('../../../etc/group', join(root, 'dir/group'));
    symlinkSync('loop', join(root, 'loop'));
    const context = await openContext(root);
    const selected = await context.select(['shadow', 'dir/group', 'loop'], { destIsDirectory: true });
    expect(selected.map(({ entry }) => entry.type)).toEqual(['symlink', 'symlink', 'symlink']);
  });

  test('gives the helper what to copy, byte for byte', async () => {
    const context = await openContext(root);
    const records = context.records(await context.select(['dir/sub'], { destIsDirectory: false }));
    const shown = (bytes: Buffer): string =>
      bytes.toString().replaceAll(/[0-9]+:([0-9]+):[0-9]{19}/g, '<stamp of $1 bytes>');
    expect(shown(records)).toBe('dir/sub\0\0\0\0dir/sub/d.txt\0d.txt\0\0<stamp of 13 bytes>\0');
    const sources = await context.select(['a.txt', 'dir/sub'], { destIsDirectory: false });
    expect(shown(context.records(sources, { unpack: true }))).toBe(
      'a.txt\0/a.txt\0a\0<stamp of 5 bytes>\0dir/sub\0\0\0\0dir/sub/d.txt\0d.txt\0\0<stamp of 13 bytes>\0',
    );
  });
});

describe('digest', () => {
  test('depends on names, modes, links and bytes, and on no times', async () => {
    const file = write('a', 'one');
    const digests = [await digest(await openContext(root))];
    const next = async (): Promise<void> => void digests.push(await digest(await openContext(root)));
    utimesSync(file, 1, 1);
    await next();
    expect(digests[1]).toBe(digests[0]);
    writeFileSync(file, 'two');
    await next();
    chmodSync(file, 0o600);
    await next();
    symlinkSync('a', join(root, 'l'));
    await next();
    rmSync(join(root, 'l'));
    symlinkSync('b', join(root, 'l'));
    await next();
    rmSync(file);
    write('b', 'two');
    await next();
    expect(new Set(digests.slice(1)).size).toBe(digests.length - 1);
  });

  test('of two trees with the same bytes in other files differs', async () => {
    write('ab/c', 'd');
    const one = await digest(await openContext(root));
    rmSync(join(root, 'ab'), { recursive: true });
    write('a/bc', 'd');
    expect(await digest(await openContext(root))).not.toBe(one);
  });

  test('leaves out modes that --chmod replaces', async () => {
    const file = write('a');
    const one = await digest(await openContext(root), ['a'], 0o644);
    chmodSync(file, 0o777);
    expect(await digest(await openContext(root), ['a'], 0o644)).toBe(one);
  });

  test('of hard links is that of two files', async () => {
    linkSync(write('a', 'same'), join(root, 'b'));
    const linked = await digest(await openContext(root));
    rmSync(join(root, 'b'));
    write('b', 'same');
    expect(await digest(await openContext(root))).toBe(linked);
  });

  test('fails when a file changed, was replaced or was deleted after it was listed', async () => {
    for (const change of [(path: string) => writeFileSync(path, 'longer'), replace, (path: string) => rmSync(path)]) {
      const file = write('a', 'short');
      const context = await openContext(root);
      change(file);
      const error = await errorOf(digest(context));
      expect(error.code).toBe('CONTEXT_CHANGED');
      expect(error.message).toContain(file);
    }
  });

  test('fails when a directory became a link to another one', async () => {
    write('real/a', 'secret');
    write('dir/a', 'public');
    const context = await openContext(root);
    rmSync(join(root, 'dir'), { recursive: true });
    symlinkSync('real', join(root, 'dir'));
    expect((await errorOf(digest(context, ['dir']))).code).toBe('CONTEXT_CHANGED');
  });

  test('of large files is asked for in one list, and only of those that are not known', async () => {
    write('big', 'x'.repeat(64 * 1024 + 1));
    write('dir/big', 'y'.repeat(64 * 1024 + 1));
    write('exact', 'z'.repeat(64 * 1024));
    const asked: string[] = [];
    const contents: ReadContents = async (folder, list) => {
      asked.push(
        `${folder} ${list
          .toString()
          .split('\0')
          .filter((_, at) => at % 4 === 0)
          .join(' ')}`,
      );
      return Buffer.alloc(64, asked.length === 1 ? 1 : 2);
    };
    const context = await openContext(root, { contents });
    const one = await digest(context);
    expect(asked).toEqual([`${root} big dir/big `]);
    expect(await digest(context)).toBe(one);
    expect(asked).toHaveLength(1);
    expect(await digest(await openContext(root, { contents }))).not.toBe(one);
  });
});

describe('shape', () => {
  test('depends on names, modes, links and sizes, and not on bytes', async () => {
    const shape = async (mode?: number): Promise<string> => {
      const context = await openContext(root);
      return context.shape(await context.select(['.'], { destIsDirectory: true }), { mode });
    };
    const file = write('a', 'one');
    const first = await shape();
    writeFileSync(file, 'two');
    expect(await shape()).toBe(first);
    const shapes = [first];
    const next = async (): Promise<void> => void shapes.push(await shape());
    writeFileSync(file, 'three');
    await next();
    chmodSync(file, 0o600);
    await next();
    symlinkSync('a', join(root, 'l'));
    await next();
    write('b', '');
    await next();
    expect(new Set(shapes).size).toBe(shapes.length);
    const before = await shape(0o644);
    chmodSync(file, 0o777);
    expect(await shape(0o644)).toBe(before);
  });

  test('is no digest', async () => {
    symlinkSync('a', join(root, 'l'));
    const context = await openContext(root);
    const selected = await context.select(['.'], { destIsDirectory: true });
    expect(context.shape(selected)).not.toBe(await context.digest(selected));
  });
});

describe('learn', () => {
  const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

  test('gives the digest that reading would give, and fills the stat cache', async () => {
    write('a', 'one');
    write('d/b', 'two');
    const { cache, entries } = memoryCache();
    const context = await openContext(root, { statCache: cache, now: () => Date.now() + 60_000 });
    const selected = await context.select(['.'], { destIsDirectory: true });
    await context.learn(selected, Buffer.concat([sha256('one'), sha256('two')]));
    expect(entries.size).toBe(2);
    expect(await context.digest(selected)).toBe(await digest(await openContext(root)));
  });

  test('is believed without a reading, and refused when it says something else than a reading before', async () => {
    write('a', 'one');
    const believing = await openContext(root);
    const selected = await believing.select(['.'], { destIsDirectory: true });
    await believing.learn(selected, sha256('none of it'));
    expect(await believing.digest(selected)).not.toBe(await digest(await openContext(root)));
    const reading = await openContext(root);
    const read = await reading.select(['.'], { destIsDirectory: true });
    await reading.digest(read);
    expect((await errorOf(reading.learn(read, sha256('other')))).code).toBe('CONTEXT_CHANGED');
    await reading.learn(read, sha256('one'));
  });
});

describe('the stat cache', () => {
  const later = (): number => Date.now() + 60_000;

  test('spares reading what has not changed', async () => {
    const file = write('a', 'content');
    const { cache, entries } = memoryCache();
    const one = await digest(await openContext(root, { statCache: cache, now: later }));
    const [[key = '', value = ''] = []] = [...entries];
    expect(key).toBe(lstatPath(file));
    // A cache that tells another hash is believed: nothing was read.
    entries.set(key, value.replace(/[0-9a-f]{64}$/, 'f'.repeat(64)));
    expect(await digest(await openContext(root, { statCache: cache, now: later }))).not.toBe(one);
  });

  test('is not asked for a file with another time or size', async () => {
    const file = write('a', 'content');
    const { cache } = memoryCache();
    await digest(await openContext(root, { statCache: cache, now: later }));
    writeFileSync(file, 'c0ntent');
    const cached = await digest(await openContext(root, { statCache: cache, now: later }));
    expect(cached).toBe(await digest(await openContext(root)));
  });

  test('does not learn files that changed too short a time before they were read', async () => {
    const changed = lstatSync(write('a')).ctimeMs;
    const { cache, entries } = memoryCache();
    // What counts is when it was read: by the time that it is hashed, much may have happened to it.
    let asked = 0;
    const now = (): number => (asked++ === 0 ? changed + 39_000 : changed + 60_000);
    await digest(await openContext(root, { statCache: cache, now }));
    expect(entries.size).toBe(0);
    await digest(await openContext(root, { statCache: cache, now: () => changed + 41_000 }));
    expect(entries.size).toBe(1);
  });

  test('forgets files that are gone, where it knows many more than there are', async () => {
    write('a.txt');
    write('gone.txt');
    const other = new Map<string, string>();
    const kept = { load: () => Promise.resolve(other), save: () => Promise.resolve() };
    const now = (): number => Date.now() + 60_000;
    await digest(await openContext(root, { statCache: kept, now }));
    rmSync(join(root, 'gone.txt'));
    write('new.txt');
    await digest(await openContext(root, { statCache: kept, now }));
    expect([...other.keys()].filter((key) => key.endsWith('gone.txt'))).toHaveLength(1);
    for (let at = 0; at < 1100; at += 1) other.set(`git:${at}`, '1:0');
    write('newer.txt');
    await digest(await openContext(root, { statCache: kept, now }));
    expect([...other.keys()].filter((key) => key.endsWith('gone.txt'))).toHaveLength(0);
    expect([...other.keys()].filter((key) => key.endsWith('new.txt'))).toHaveLength(1);
    expect(other.size).toBeLessThan(1020);
    expect([other.has('git:0'), other.has('git:1099')]).toEqual([false, true]);
  });

  test('keeps what it knows of another context, however small the one is that it forgets files of', async () => {
    write('a.txt');
    const now = (): number => Date.now() + 60_000;
    const known = new Map<string, string>();
    for (let at = 0; at < 3000; at += 1) known.set(`/elsewhere/${at}`, '1:1:1:0');
    for (let at = 0; at < 8000; at += 1) known.set(join(root, `gone/${at}`), '1:1:1:0');
    const kept = { load: () => Promise.resolve(known), save: () => Promise.resolve() };
    await digest(await openContext(root, { statCache: kept, now }));
    const keys = [...known.keys()];
    expect(keys.filter((key) => key.startsWith('/elsewhere/'))).toHaveLength(3000);
    expect(keys.filter((key) => key.startsWith(`${root}/`))).toEqual([join(root, 'a.txt')]);
  });

  test('with nonsense in it is read past', async () => {
    write('a');
    const { cache, entries } = memoryCache();
    const good = await digest(await openContext(root, { statCache: cache, now: later }));
    for (const [key, value] of entries) entries.set(key, `${value}0`);
    expect(await digest(await openContext(root, { statCache: cache, now: later }))).toBe(good);
  });
});

function memoryCache() {
  const entries = new Map<string, string>();
  const cache = { load: async () => entries, save: async () => undefined };
  return { cache, entries };
}

function lstatPath(path: string): string {
  lstatSync(path);
  return path;
}

function replace(path: string): void {
  rmSync(path);
  writeFileSync(path, 'short');
}

function listen(path: string): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => server.listen(path, () => resolve(server)));
}

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = new URL('../..', import.meta.url).pathname;
/** Everything that can change the bytes of the helper, one of each kind. */
const INPUTS = [
  'native/helper/src/main.rs',
  'native/layer/src/inflate.rs',
  'native/sys/Cargo.toml',
  'native/Cargo.toml',
  'native/Cargo.lock',
  'native/rust-toolchain.toml',
  'native/requirements-native.txt',
  'native/build.sh',
  'native/zigcc',
  'native/zigar',
];
/** What stands in for a binary: nothing here is built or run. */
const BINARY = 'of these sources\n';

let copy: string;
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'berth-hash-'));
  const files = execFileSync('git', ['ls-files', '-z', 'native', 'scripts'], { cwd: ROOT, encoding: 'utf8' });
  for (const file of files.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(ROOT, file), join(copy, file), { verbatimSymlinks: true });
  }
  record();
});
afterAll(() => {
  const isAsBefore = isCurrent();
  rmSync(copy, { recursive: true, force: true });
  // Every test has put back what it changed, so that each failed for its own reason.
  expect(isAsBefore).toBe(true);
});

describe('the helper of a tree that nobody touched', () => {
  test('is recognised by the hash of the sources, and not rebuilt', () => {
    expect(isCurrent()).toBe(true);
    expect(ensured()).toEqual({ status: 0, output: 'true' });
  });

  test('is recognised where the tree lies elsewhere, and whatever the times of its files are', () => {
    const elsewhere = join(copy, 'at/another/depth');
    for (const folder of ['native', 'scripts', 'dist'])
      cpSync(join(copy, folder), join(elsewhere, folder), { recursive: true, verbatimSymlinks: true });
    expect(isCurrent(elsewhere)).toBe(true);
    rmSync(join(copy, 'at'), { recursive: true });
  });

  test('is recognised beside what no build reads: tests, fuzz targets, notes', () => {
    const files = ['native/layer/tests/new.rs', 'native/fuzz/fuzz_targets/new.rs', 'native/NOTES.md'];
    for (const file of files) writeFileSync(join(copy, file), 'new');
    expect(isCurrent()).toBe(true);
    for (const file of files) rmSync(join(copy, file));
  });
});

describe('one byte that changed, with unchanged binaries, makes the check of CI fail', () => {
  test.each(INPUTS)('in %s', (file) => {
    const before = readFileSync(join(copy, file));
    appendFileSync(join(copy, file), '\n');
    expect(checked()).toEqual({ status: 1, output: expect.stringContaining('has not the hash of native/') as unknown });
    writeFileSync(join(copy, file), before);
  });

  test.each(['native/layer/src/added.rs', 'native/net/src/deep/added.rs'])('by a new file, %s', (file) => {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    writeFileSync(join(copy, file), '');
    expect(checked().status).toBe(1);
    rmSync(join(copy, file));
  });

  test('of a binary whose sources did not change', () => {
    const binary = join(copy, 'dist/native/berth-native-aarch64');
    writeFileSync(binary, BINARY.toUpperCase());
    expect(checked()).toEqual({
      status: 1,
      output: expect.stringContaining('has not the hash of berth-native-aarch64') as unknown,
    });
    writeFileSync(binary, BINARY);
  });

  test('of the other architecture alone', () => {
    const list = join(copy, 'dist/native/source.sha256');
    const before = readFileSync(list, 'utf8');
    writeFileSync(list, before.replace(/^[0-9a-f]+(?= {2}berth-native-aarch64)/m, '0'.repeat(64)));
    expect(checked().status).toBe(1);
    writeFileSync(list, before);
  });

  test('and without cargo no command goes on with the stale helper', () => {
    const file = join(copy, 'native/helper/src/main.rs');
    const before = readFileSync(file);
    appendFileSync(file, '\n');
    expect(ensured()).toEqual({ status: 0, output: expect.stringMatching(/^false[^]*helper stale/) as unknown });
    writeFileSync(file, before);
  });
});

/** Writes both lists as native/build.sh does. */
function record(): void {
  const folder = join(copy, 'dist/native');
  mkdirSync(folder, { recursive: true });
  const hash = execFileSync(join(copy, 'native/build.sh'), ['--source-hash'], { encoding: 'utf8' }).trim();
  const names = ['berth-native-aarch64', 'berth-native-x86_64'];
  for (const name of names) writeFileSync(join(folder, name), BINARY);
  const sums = execFileSync('sha256sum', names, { cwd: folder, encoding: 'utf8' });
  writeFileSync(join(folder, 'native.sha256'), sums);
  writeFileSync(join(folder, 'source.sha256'), names.map((name) => `${hash}  ${name}\n`).join(''));
}

function isCurrent(root = copy): boolean {
  return evaluate(root, 'console.log(isCurrent(ARCHITECTURES))').output === 'true';
}

/** What the commands of npm do first; there is no cargo. */
function ensured(): { readonly status: number | null; readonly output: string } {
  return evaluate(copy, 'console.log(ensureHelper())');
}

function evaluate(root: string, code: string): { readonly status: number | null; readonly output: string } {
  const script = `import { ARCHITECTURES, ensureHelper, isCurrent } from ${JSON.stringify(join(root, 'scripts/native.mjs'))}; ${code}`;
  return run(['--input-type=module', '--eval', script], root);
}

/** The check of CI, which compares hashes before it builds anything. */
function checked(): { readonly status: number | null; readonly output: string } {
  return run([join(copy, 'scripts/check-native.mjs')], copy);
}

function run(args: readonly string[], cwd: string): { readonly status: number | null; readonly output: string } {
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: copy };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, env, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}`.trim() };
}

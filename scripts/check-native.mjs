// Builds the helper from a copy of the sources at another depth with an empty cargo home, and compares it with the committed one:
// `node scripts/check-native.mjs [x86_64|aarch64]…`, by default both.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ARCHITECTURES, isCurrent } from './native.mjs';

const root = new URL('..', import.meta.url).pathname;
const given = process.argv.slice(2);
const unknown = given.find((name) => !ARCHITECTURES.includes(name));
if (unknown !== undefined) fail(`Cannot check ${unknown}: the helper is built for ${ARCHITECTURES.join(' and ')}`);
const wanted = given.length > 0 ? given : ARCHITECTURES;

if (!isCurrent(ARCHITECTURES))
  fail('dist/native/source.sha256 has not the hash of native/: run native/build.sh and commit what it makes');
for (const arch of ARCHITECTURES) checkListed(`berth-native-${arch}`);
const place = mkdtempSync(join(tmpdir(), 'berth-proof-'));
const copy = join(place, 'some', 'other', 'depth');
mkdirSync(copy, { recursive: true });
must('sh', ['-c', `git ls-files -z native rust-toolchain.toml | xargs -0 cp --parents -t "$1"`, 'sh', copy], root);
// Where rustup's files are does not matter to the bytes; where cargo's are is remapped, so an empty home is the harder test.
const env = {
  ...process.env,
  CARGO_HOME: join(place, 'cargo'),
  RUSTUP_HOME: process.env.RUSTUP_HOME ?? `${process.env.HOME}/.rustup`,
};
must(join(copy, 'native/build.sh'), wanted, copy, env);
for (const arch of wanted) compare(`dist/native/berth-native-${arch}`);
rmSync(place, { recursive: true, force: true });

/** The list of hashes, which the bundle carries, is of the files beside it. */
function checkListed(name) {
  const lines = readFileSync(join(root, 'dist/native/native.sha256'), 'utf8').split('\n');
  const line = `${hash(join(root, 'dist/native', name))}  ${name}`;
  if (!lines.includes(line))
    fail(`dist/native/native.sha256 has not the hash of ${name}: run native/build.sh and commit`);
}

function compare(path) {
  const [committed, built] = [hash(join(root, path)), hash(join(copy, path))];
  if (committed !== built)
    fail(`${path} is not what the source gives: committed ${committed}, built ${built} (kept at ${join(copy, path)})`);
  console.log(`${path} ${committed}: the committed file is what the source gives`);
}

function must(program, args, cwd, environment = process.env) {
  const { status, error } = spawnSync(program, args, { cwd, env: environment, stdio: 'inherit' });
  if (status !== 0) fail(`${program} ended with ${status ?? error?.message}`);
}

function hash(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

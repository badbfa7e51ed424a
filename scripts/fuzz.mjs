// Fuzzes what reads foreign input, for a bounded time: `npm run fuzz -- [seconds a target] [target]…`. The engine's readers of text need nothing else,
// the helper's parsers of bytes a nightly Rust and cargo-fuzz.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { node24 } from './node24.mjs';

/** The targets of __tests__/fuzz. */
const TEXT = ['dockerfile', 'ignore-file', 'reference'];

const folder = new URL('../native/fuzz/', import.meta.url).pathname;
const [seconds = '30', ...only] = process.argv.slice(2);
const bytes = readdirSync(join(folder, 'fuzz_targets')).map((file) => basename(file, '.rs'));
/** They start a child on foreign bytes. */
const FILTERED = ['apply', 'archive'];
const all = [...TEXT, ...bytes];
const unknown = only.find((target) => !all.includes(target));
const wanted = only.length > 0 ? only : all;
if (!/^[1-9]\d*$/.test(seconds) || unknown) {
  console.error(`npm run fuzz -- [seconds] [${all.join('|')}]…`);
  process.exit(2);
}
const failed = wanted.filter((target) => TEXT.includes(target) && !fuzzText(target));
if (wanted.some((target) => bytes.includes(target))) failed.push(...fuzzBytes());
if (failed.length > 0)
  console.error(`Found something in ${failed.join(', ')}; what bytes found is in native/fuzz/artifacts`);
process.exitCode = failed.length > 0 ? 1 : 0;

function fuzzText(target) {
  const script = new URL('fuzz-text.ts', import.meta.url).pathname;
  return spawnSync(node24(), ['--no-warnings', script, seconds, target], { stdio: 'inherit' }).status === 0;
}

function fuzzBytes() {
  if (spawnSync('cargo', ['+nightly', 'fuzz', '--version'], { stdio: 'ignore' }).status !== 0) {
    console.log(
      'Bytes are not fuzzed: cargo-fuzz or a nightly Rust is missing (rustup toolchain install nightly; cargo install cargo-fuzz)',
    );
    return [];
  }
  return wanted.filter((target) => bytes.includes(target) && !fuzz(target));
}

function fuzz(target) {
  const corpus = join(folder, 'corpus', target);
  mkdirSync(corpus, { recursive: true });
  // Their child has a filter that no sanitizer lives with.
  const options = FILTERED.includes(target) ? ['--sanitizer', 'none'] : [];
  const limits = [`-max_total_time=${seconds}`, '-timeout=10', '-rss_limit_mb=2048', '-print_final_stats=1'];
  const args = ['+nightly', 'fuzz', 'run', ...options, target, corpus, join(folder, 'seeds', target), '--', ...limits];
  console.log(`fuzz ${target}, ${seconds} s`);
  return spawnSync('cargo', args, { cwd: folder, stdio: 'inherit' }).status === 0;
}

// Fuzzes the helper's parsers of foreign bytes for a bounded time: `npm run fuzz -- [seconds a target] [target]…`. Needs a nightly Rust and cargo-fuzz.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

const folder = new URL('../native/fuzz/', import.meta.url).pathname;
const [seconds = '30', ...only] = process.argv.slice(2);
const all = readdirSync(join(folder, 'fuzz_targets')).map((file) => basename(file, '.rs'));
const unknown = only.find((target) => !all.includes(target));
if (!/^[1-9]\d*$/.test(seconds) || unknown) {
  console.error(`npm run fuzz -- [seconds] [${all.join('|')}]…`);
  process.exit(2);
}
if (spawnSync('cargo', ['+nightly', 'fuzz', '--version'], { stdio: 'ignore' }).status !== 0) {
  console.log(
    'Not fuzzed: cargo-fuzz or a nightly Rust is missing (rustup toolchain install nightly; cargo install cargo-fuzz)',
  );
  process.exit(0);
}
const failed = (only.length > 0 ? only : all).filter((target) => !fuzz(target));
if (failed.length > 0) console.error(`Found something in ${failed.join(', ')}: see native/fuzz/artifacts`);
process.exitCode = failed.length > 0 ? 1 : 0;

function fuzz(target) {
  const corpus = join(folder, 'corpus', target);
  mkdirSync(corpus, { recursive: true });
  // Its child has a filter that no sanitizer lives with.
  const options = target === 'apply' ? ['--sanitizer', 'none'] : [];
  const limits = [`-max_total_time=${seconds}`, '-timeout=10', '-rss_limit_mb=2048', '-print_final_stats=1'];
  const args = ['+nightly', 'fuzz', 'run', ...options, target, corpus, join(folder, 'seeds', target), '--', ...limits];
  console.log(`fuzz ${target}, ${seconds} s`);
  return spawnSync('cargo', args, { cwd: folder, stdio: 'inherit' }).status === 0;
}

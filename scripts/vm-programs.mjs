// The helper's test programs, static, for one architecture: what `npm run vm` takes into a virtual machine.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const native = new URL('../native/', import.meta.url).pathname;

/**
 * Builds them. Each is { test, path, helper }: its name, where it lies, and the absolute path at which it looks for the helper.
 *
 * @param {'x86_64' | 'aarch64'} rust
 */
export function testPrograms(rust) {
  const target = `${rust}-unknown-linux-musl`;
  const folder = join(native, 'target/vm');
  const built = spawnSync(
    'sh',
    [
      '-c',
      `${environment} exec rustup run "$channel" cargo test --locked --workspace --no-run --message-format=json --target ${target} --target-dir ${folder}`,
      'sh',
      rust,
    ],
    { cwd: native, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 },
  );
  if (built.status !== 0) throw new Error('Cannot build the test programs of the helper');
  const messages = built.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return messages
    .filter(({ profile, executable }) => profile?.test && executable)
    .map(({ executable, target: { name } }) => ({
      test: name,
      path: executable,
      helper: join(folder, target, 'debug/berth-native'),
    }));
}

/** As native/build.sh sets it: zig compiles C, rust-lld links. `$1` is the architecture. */
const environment = `
  channel=$(sed -n 's/^channel = "\\(.*\\)"/\\1/p' rust-toolchain.toml)
  sysroot=$(rustup run "$channel" rustc --print sysroot)
  host=$(rustup run "$channel" rustc -vV | sed -n 's/^host: //p')
  rustup target add --toolchain "$channel" "$1-unknown-linux-musl" >/dev/null 2>&1
  export "CC_$1_unknown_linux_musl=$PWD/zigcc-$1" "AR_$1_unknown_linux_musl=$PWD/zigar" "CFLAGS_$1_unknown_linux_musl=-g0"
  export ZIG_GLOBAL_CACHE_DIR=$PWD/.cache/zig-cache ZIG_LOCAL_CACHE_DIR=$PWD/.cache/zig-cache
  export RUSTFLAGS="-Clink-self-contained=yes -Clinker=$sysroot/lib/rustlib/$host/bin/rust-lld"
`;

#!/usr/bin/env bash
# Builds the static helper: native/build.sh [x86_64|aarch64]…, by default both, into dist/native.
#
# The bytes depend on the sources, the lock file, the toolchain of rust-toolchain.toml, the wheel of requirements-native.txt and the flags below,
# and on nothing else: not on the folder, not on CARGO_HOME, not on the host's compiler (spec/native.md 1 and 7). Needs rustup, python3 with pip,
# and a network for what is not there yet. `native/build.sh --source-hash` only prints the hash of what the bytes depend on.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"
root=$(dirname "$PWD")
out=$root/dist/native

# Hash of the sources, the lock, the pins and the flags: names and contents of all files that a build reads. Links count as what they lead to, so
# that a copy which follows them has the same hash.
source_hash() {
  find -L Cargo.toml Cargo.lock rust-toolchain.toml requirements-native.txt build.sh zigcc* zigar */Cargo.toml */src \
    -path 'fuzz/*' -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

if [ "${1:-}" = --source-hash ]; then
  source_hash
  exit
fi
architectures=("$@")
[ $# -gt 0 ] || architectures=(x86_64 aarch64)

command -v rustup >/dev/null || { echo 'Cannot build the helper: rustup is missing. Install it: https://rustup.rs' >&2; exit 1; }
channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
cargo="rustup run $channel cargo"
rustup toolchain list | grep -q "^$channel-" || rustup toolchain install --profile minimal "$channel"

# The wheel is checked against its hash by pip, and unpacked once.
if [ ! -e .cache/zig/ziglang/zig ] || ! cmp -s requirements-native.txt .cache/zig/requirements-native.txt; then
  rm -rf .cache/zig
  python3 -m pip install --quiet --require-hashes --no-deps --only-binary :all: --platform manylinux_2_12_x86_64 --platform manylinux2014_x86_64 \
    --platform linux_x86_64 --target .cache/zig -r requirements-native.txt
  cp requirements-native.txt .cache/zig/
fi

# Absolute paths end up in panic messages and debug information unless they are mapped away.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustup run "$channel" rustc --print sysroot)
host=$(rustup run "$channel" rustc -vV | sed -n 's/^host: //p')
export SOURCE_DATE_EPOCH=0
export ZIG_GLOBAL_CACHE_DIR=$PWD/.cache/zig-cache ZIG_LOCAL_CACHE_DIR=$PWD/.cache/zig-cache
export RUSTFLAGS="--remap-path-prefix=$PWD=/src --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$sysroot=/rust -Clink-self-contained=yes -Clinker=$sysroot/lib/rustlib/$host/bin/rust-lld"
export CARGO_INCREMENTAL=0
unset CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CFLAGS CPPFLAGS LDFLAGS CC AR 2>/dev/null || true

mkdir -p "$out"
for arch in "${architectures[@]}"; do
  target=$arch-unknown-linux-musl
  rustup target list --installed --toolchain "$channel" | grep -qx "$target" || rustup target add --toolchain "$channel" "$target"
  under=${target//-/_}
  export "CC_$under=$PWD/zigcc-$arch" "AR_$under=$PWD/zigar"
  export "CFLAGS_$under=-g0 -ffile-prefix-map=$PWD=/src -ffile-prefix-map=$cargo_home=/cargo"
  $cargo build --locked --release --target "$target" --target-dir target/static -p berth-helper
  install -m 0755 "target/static/$target/release/berth-native" "$out/berth-native-$arch.new"
  mv -f "$out/berth-native-$arch.new" "$out/berth-native-$arch"
done

# A line a binary in each: its own hash, and the hash of the sources that it was built from.
built=$(source_hash)
for arch in "${architectures[@]}"; do
  file=berth-native-$arch
  for list in "native.sha256 $(sha256sum <"$out/$file" | cut -d' ' -f1)" "source.sha256 $built"; do
    read -r name hash <<<"$list"
    { grep -sv "  $file\$" "$out/$name" || true; echo "$hash  $file"; } | sort -k2 >"$out/$name.new"
    mv -f "$out/$name.new" "$out/$name"
  done
done
cat "$out/native.sha256"

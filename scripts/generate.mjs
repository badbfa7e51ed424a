// Writes what is generated from other sources: engine/native/protocol.ts from native/wire.
import { spawnSync } from 'node:child_process';

const check = process.argv.includes('--check');
const { status, error } = spawnSync('cargo', ['test', '--quiet', '--locked', '-p', 'berth-wire', '--features', 'ts'], {
  cwd: new URL('../native', import.meta.url),
  stdio: 'inherit',
  env: { ...process.env, ...(check ? { BERTH_PROTOCOL_CHECK: '1' } : {}) },
});
if (error) console.error(`Cannot run cargo: ${error.message}; install Rust from https://rustup.rs`);
process.exit(status ?? 1);

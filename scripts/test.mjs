// `npm test`: what the tests need is looked for, installed or named; then jest runs them on Node 24.
import { spawnSync } from 'node:child_process';
import { ensureHelper } from './native.mjs';
import { node24 } from './node24.mjs';
import { ensurePrograms } from './system.mjs';

if (process.platform !== 'linux') {
  console.error('Cannot test: the engine runs on Linux only (WSL2 counts)');
  process.exit(1);
}
ensurePrograms([
  'busybox',
  'docker-registry',
  'newuidmap',
  'sudo',
  'skopeo',
  'umoci',
  'runc',
  'bsdtar',
  'setpriv',
  'strace',
  'zstd',
]);
if (!ensureHelper()) process.exit(1);
const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', ...process.argv.slice(2)];
const { status } = spawnSync(node24(), jest, { stdio: 'inherit', cwd: new URL('..', import.meta.url).pathname });
process.exit(status ?? 1);

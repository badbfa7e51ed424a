// `npm test`: what the tests need is looked for, installed or named; then jest runs them on Node 24.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
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
// Much of a test is waiting for a process of its own, so that jest's usual one worker leaves a machine of two cores idle.
const workers = `--maxWorkers=${Math.max(2, availableParallelism() - 1)}`;
const given = process.argv.slice(2);
const hasWorkers = given.some((word) => /^(--maxWorkers|-w|--runInBand|-i)/.test(word));
const program = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
const jest = [...program, ...(hasWorkers ? [] : [workers]), ...given];
const { status } = spawnSync(node24(), jest, { stdio: 'inherit', cwd: new URL('..', import.meta.url).pathname });
process.exit(status ?? 1);

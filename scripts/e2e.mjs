// `npm run e2e`: the tests that run whole jobs on real parts; they take minutes and want root for most of what they show. One file after the
// other, or `--maxWorkers=2`: each worker has an account of its own.
import { spawnSync } from 'node:child_process';
import { ensureHelper } from './native.mjs';
import { node24 } from './node24.mjs';
import { ensurePrograms } from './system.mjs';

ensurePrograms([
  'busybox',
  'docker-registry',
  'newuidmap',
  'sudo',
  'skopeo',
  'umoci',
  'runc',
  'mmdebstrap',
  'setfattr',
  'setpriv',
  'sshd',
  'nft',
  'git',
  'strace',
  'xz',
]);
if (!ensureHelper()) process.exit(1);
const given = process.argv.slice(2);
const jest = [
  '--experimental-vm-modules',
  '--no-warnings',
  'node_modules/jest/bin/jest.js',
  ...(given.some((word) => word.startsWith('--maxWorkers')) ? [] : ['--runInBand']),
  '--testPathIgnorePatterns=node_modules',
  '--testMatch=**/__tests__/e2e/**/*.e2e.ts',
  '--testTimeout=900000',
  ...given,
];
const { status } = spawnSync(node24(), jest, { stdio: 'inherit', cwd: new URL('..', import.meta.url).pathname });
process.exit(status ?? 1);

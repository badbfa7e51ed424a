// `npm run bench`: looks for what the benchmark needs from the system, then runs it.
import { spawnSync } from 'node:child_process';
import { ensureHelper } from './native.mjs';
import { node24 } from './node24.mjs';
import { ensurePrograms } from './system.mjs';

// Buildah and podman are peers where somebody has installed them; what a peer needs beside it is looked for by itself.
const missing = ensurePrograms(['docker-registry', 'skopeo', 'mmdebstrap', 'xz']);
if (missing.length > 0 || !ensureHelper()) process.exit(1);
const { status } = spawnSync(node24(), [new URL('bench.ts', import.meta.url).pathname, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exit(status ?? 1);

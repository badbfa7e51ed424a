// Runs a script on the Node that the Action runs on: 24, from the npm package that ships the binary, else the one at hand.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Absolute path of Node 24's binary; this process's own when the package for this platform is not there and it is new enough. */
export function node24() {
  const name = `node-${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'bin', 'node');
  } catch {
    if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
    throw new Error(
      `Cannot run on Node 24: neither ${name} is installed (run \`npm ci\`) nor is this Node ${process.version} new enough`,
    );
  }
}

if (process.argv[1]?.endsWith('node24.mjs')) {
  const child = spawn(node24(), process.argv.slice(2), { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(signal ? 128 : (code ?? 1)));
}

import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { run } from '../measure.ts';
import type { Peer, PeerOptions } from './types.ts';

const cli = resolve(import.meta.dirname, '../../../dist/cli/index.js');

/** Our own bundle, as a user runs it from a bare checkout. */
export async function createBerth({ registry, state }: PeerOptions): Promise<Peer> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: state,
    BERTH_ROOT: join(state, 'store'),
    BERTH_REGISTRY_MIRRORS: `docker.io=http://${registry}`,
  };
  const berth = async (...args: readonly string[]): Promise<string> =>
    await run({ program: process.execPath, args: [cli, ...args], env });
  const [, version = ''] = /^berth (\S+)/.exec(await berth('--version')) ?? [];
  return {
    name: 'berth',
    version,
    forget: async () => void (await berth('builder', 'prune', '--all', '--force')),
    build: async (folder, tag) => void (await berth('build', '-t', tag, folder)),
    push: async (tag, reference) => {
      await berth('tag', tag, reference);
      await berth('push', reference);
    },
    pull: async (reference) => void (await berth('pull', reference)),
    remove: async (reference) => {
      await berth('rmi', '--force', reference);
      await berth('system', 'prune', '--all', '--force');
    },
    runOnce: async (tag, command) => void (await berth('run', '--rm', '--network', 'none', tag, ...command)),
    publishes: true,
    start: async (tag, name, { port, network }) => {
      const place = network === 'host' ? ['--network', 'host', '-e', `PORT=${port}`] : ['-p', `127.0.0.1:${port}:8000`];
      await berth('run', '-d', '--name', name, ...place, tag);
    },
    stop: async (name) => void (await berth('rm', '--force', name)),
    unpack: async (image, folder) => {
      const context = join(state, 'unpack');
      await mkdir(context, { recursive: true });
      await writeFile(join(context, 'Dockerfile'), `FROM ${image}\n`);
      await berth('build', '--output', `type=local,dest=${folder}`, context);
    },
    close: async () => void (await berth('system', 'prune', '--all', '--force', '--volumes').catch(() => undefined)),
  };
}

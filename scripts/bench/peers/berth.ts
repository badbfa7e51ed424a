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
  const [, version = ''] = /berth version (\S+)/.exec(await berth('--version')) ?? [];
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
    runOnce: async (tag, command) => void (await berth('run', '--rm', tag, ...command)),
    start: async (tag, name, port) =>
      void (await berth('run', '-d', '--name', name, '-p', `127.0.0.1:${port}:8000`, tag)),
    stop: async (name) => void (await berth('rm', '--force', name)),
    close: async () => void (await berth('system', 'prune', '--all', '--force', '--volumes').catch(() => undefined)),
  };
}

import { startDocker } from '../../../__tests__/e2e/support/docker.ts';
import { run } from '../measure.ts';
import type { Peer, PeerOptions } from './types.ts';

/**
 * docker with BuildKit, of Debian's newest packages. Its daemon has no bridge here, so its containers use the host's network, which is faster
 * for it than a bridge.
 */
export async function createDocker({ registry }: PeerOptions, containerdStore: boolean): Promise<Peer> {
  const daemon = await startDocker({ containerdStore, flags: ['--registry-mirror', `http://${registry}`] });
  const docker = async (...args: readonly string[]): Promise<string> =>
    await run({ program: 'docker', args, env: daemon.env });
  return {
    name: containerdStore ? 'docker (containerd store)' : 'docker',
    version: daemon.version,
    forget: async () => void (await docker('builder', 'prune', '--all', '--force')),
    build: async (folder, tag) =>
      void (await docker('build', '--network', 'host', '--provenance=false', '-t', tag, folder)),
    push: async (tag, reference) => {
      await docker('tag', tag, reference);
      await docker('push', reference);
    },
    pull: async (reference) => void (await docker('pull', reference)),
    remove: async (reference) => {
      await docker('rmi', '--force', reference);
      await docker('system', 'prune', '--all', '--force');
    },
    runOnce: async (tag, command) => void (await docker('run', '--rm', '--network', 'none', tag, ...command)),
    publishes: false,
    start: async (tag, name, { port }) =>
      void (await docker('run', '-d', '--name', name, '--network', 'host', '-e', `PORT=${port}`, tag)),
    stop: async (name) => void (await docker('rm', '--force', name)),
    close: async () => await daemon.stop(),
  };
}

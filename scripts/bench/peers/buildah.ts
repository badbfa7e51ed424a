import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../measure.ts';
import type { Peer, PeerOptions } from './types.ts';

/** podman asks for more open files and processes than some machines allow even root: a container gets few of them, which are enough. */
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

/** runc takes every layout of cgroups; crun, their default, refuses one that is half v1 and half v2. */
const RUNTIME = ['--runtime', 'runc'];

/** buildah builds, podman runs: one storage. Layers are cached only when buildah is told to, with `--layers`. */
export async function createBuildah({ registry, state }: PeerOptions): Promise<Peer> {
  const configuration = join(state, 'registries.conf');
  await writeFile(
    configuration,
    `unqualified-search-registries = ["docker.io"]\n[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "${registry}"\ninsecure = true\n[[registry]]\nlocation = "${registry}"\ninsecure = true\n`,
  );
  const storage = ['--root', join(state, 'storage'), '--runroot', join(state, 'run'), '--storage-driver', 'overlay'];
  const env = {
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
    HOME: state,
    CONTAINERS_REGISTRIES_CONF: configuration,
  };
  const tool = async (program: string, ...args: readonly string[]): Promise<string> =>
    await run({ program, args: [...storage, ...args], env });
  const podman = async (...args: readonly string[]): Promise<string> =>
    await tool('podman', '--cgroup-manager', 'cgroupfs', ...RUNTIME, ...args);
  const [, version = ''] = /version (\S+)/.exec(await run({ program: 'buildah', args: ['--version'], env })) ?? [];
  return {
    name: 'buildah + podman',
    version,
    // Its cache is the images that it built, named or not; the base stays.
    forget: async () => {
      const built = (await tool('buildah', 'images', '--format', '{{.Name}}:{{.Tag}}')).split('\n');
      const names = built.filter((name) => /^localhost\/bench-/.test(name));
      if (names.length > 0) await tool('buildah', 'rmi', '--force', ...names);
      await tool('buildah', 'rmi', '--prune').catch(() => undefined);
    },
    build: async (folder, tag) =>
      void (await tool('buildah', 'build', '--layers', ...RUNTIME, '--network', 'host', '-t', tag, folder)),
    push: async (tag, reference) => void (await tool('buildah', 'push', tag, `docker://${reference}`)),
    pull: async (reference) => void (await tool('buildah', 'pull', reference)),
    remove: async (reference) => void (await tool('buildah', 'rmi', '--force', reference)),
    runOnce: async (tag, command) =>
      void (await podman('run', '--rm', ...LIMITS, '--network', 'none', tag, ...command)),
    publishes: false,
    start: async (tag, name, { port }) =>
      void (await podman('run', '-d', ...LIMITS, '--name', name, '--network', 'host', '-e', `PORT=${port}`, tag)),
    stop: async (name) => void (await podman('rm', '--force', '--time', '0', name)),
    close: async () => void (await tool('buildah', 'rmi', '--all', '--force').catch(() => undefined)),
  };
}

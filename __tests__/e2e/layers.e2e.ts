import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NO_BUSYBOX, pushBusybox } from '../helpers/base-images.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { hasProgram, startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { openTestEngine, type TestEngine } from '../helpers/engine.ts';
import { NO_DOCKER, startDocker } from './support/docker.ts';
import { createImageReader, type ImageTree } from './support/image-tree.ts';

const run = promisify(execFile);
const reason = NO_CONTAINERS ?? NO_BUSYBOX ?? (hasProgram('docker-registry') ? undefined : 'no docker-registry');
const suite = reason === undefined ? describe : describe.skip;
if (reason !== undefined) console.log(`layers: ${reason}`);

/** Two steps that leave everything a layer can say: links, modes, owners, attributes of names, deletions, replaced directories. */
const STEPS = [
  [
    'mkdir -p /tree/gone /tree/replaced /tree/kept',
    'echo gone > /tree/gone/file; echo old > /tree/replaced/old; echo old > /tree/replaced/both',
    'echo kept > /tree/kept/file; ln /tree/kept/file /tree/kept/hard; ln -s ../kept/file /tree/kept/link',
    'ln -s /nowhere /tree/dangling; echo x > /tree/file-to-folder; mkdir /tree/folder-to-link',
    'echo long > "/tree/$(printf %0200d 7)"; echo name > "/tree/ünï code"; chmod 4755 /tree/kept/file; chown 1000:1001 /tree/kept',
    'chmod 1777 /tree/gone; touch -d "2001-02-03 04:05:06" /tree/replaced/both',
  ],
  [
    'rm -rf /tree/gone; rm -r /tree/replaced; mkdir /tree/replaced; echo new > /tree/replaced/new; echo new > /tree/replaced/both',
    'rm /tree/file-to-folder; mkdir /tree/file-to-folder; echo in > /tree/file-to-folder/in',
    'rmdir /tree/folder-to-link; ln -s kept /tree/folder-to-link; rm /tree/kept/link; chmod 0700 /tree/kept',
    'mkdir /tree/gone; echo again > /tree/gone/again',
  ],
].map((lines) => lines.join(' && '));

suite('layers of other makers', () => {
  let it: TestEngine;
  let registry: DockerRegistry;
  let folder: string;
  let read: (repository: string, reference: string) => Promise<ImageTree>;
  beforeAll(async () => {
    registry = await startDockerRegistry();
    await pushBusybox(`http://${registry.address}`);
    read = createImageReader(`http://${registry.address}`);
    it = await openTestEngine();
    folder = await mkdtemp('/var/tmp/berth-layers-');
    const steps = STEPS.map((step) => `RUN ${step}\n`).join('');
    await writeFile(join(folder, 'Dockerfile'), `FROM ${registry.address}/library/busybox\n${steps}`);
  });
  afterAll(async () => {
    await it.close();
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** What apply makes of them, and diff makes of that, is the tree that their own words describe. */
  async function expectSame(maker: string): Promise<void> {
    const name = `${registry.address}/by/${maker}:latest`;
    const again = `${registry.address}/again/${maker}:latest`;
    // The cache does not ask for times, and the makers differ in nothing else.
    await it.build(`FROM scratch\nCOPY --from=${name} /tree /tree\n`, { tags: [again], noCache: true });
    await it.engine.push(again, again);
    const theirs = below((await read(`by/${maker}`, 'latest')).tree);
    expect(theirs.size).toBeGreaterThan(10);
    expect(below((await read(`again/${maker}`, 'latest')).tree)).toEqual(theirs);
    expect(theirs.has('tree/gone/file') || theirs.has('tree/replaced/old')).toBe(false);
  }

  const withDocker = NO_DOCKER === undefined ? test : test.skip;
  withDocker.each([false, true])('docker with BuildKit, store of containerd: %s', async (containerdStore) => {
    const docker = await startDocker({ containerdStore });
    try {
      const maker = containerdStore ? 'docker-containerd' : 'docker';
      const name = `${registry.address}/by/${maker}:latest`;
      // One manifest, not an index with one.
      const flags = ['--provenance=false', '--network=none', '--tag', name];
      const built = await docker.docker(['build', '--push', ...flags, folder]);
      expect(built).toMatchObject({ code: 0 });
      await expectSame(maker);
    } finally {
      await docker.stop();
    }
  });

  (hasProgram('buildah') ? test : test.skip)('buildah', async () => {
    const places = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
    const name = `${registry.address}/by/buildah:latest`;
    const build = ['build', '--layers', '--isolation', 'chroot', '--tls-verify=false', '--tag', name, folder];
    await run('buildah', [...places, ...build], { maxBuffer: 16 << 20 });
    await run('buildah', [...places, 'push', '--tls-verify=false', name, `docker://${name}`]);
    await expectSame('buildah');
  });

  const umoci = hasProgram('umoci') && hasProgram('skopeo') ? test : test.skip;
  umoci('umoci', async () => {
    const layout = `${folder}/layout`;
    const host = `docker://${registry.address}`;
    await run('skopeo', ['copy', '--src-tls-verify=false', `${host}/library/busybox:latest`, `oci:${layout}:0`]);
    for (const [index, step] of STEPS.entries()) {
      const bundle = `${folder}/bundle-${index}`;
      await run('umoci', ['unpack', '--image', `${layout}:${index}`, bundle]);
      await run('chroot', [`${bundle}/rootfs`, '/bin/sh', '-c', step]);
      await run('umoci', ['repack', '--image', `${layout}:${index + 1}`, bundle]);
    }
    await run('skopeo', ['copy', '--dest-tls-verify=false', `oci:${layout}:2`, `${host}/by/umoci:latest`]);
    await expectSame('umoci');
  });
});

function below(tree: ImageTree['tree']): ImageTree['tree'] {
  return new Map([...tree].filter(([path]) => path.startsWith('tree/')));
}

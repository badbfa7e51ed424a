import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RegistryServer } from '../../engine/index.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { hasProgram } from '../helpers/docker-registry.ts';
import { openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';
import { NO_DOCKER, startDocker, type Docker } from './support/docker.ts';

const run = promisify(execFile);
/** The specification's own program, by its module version. */
const PROGRAM = 'github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111';
const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
if (NO_CONTAINERS !== undefined) console.log(`registry: ${NO_CONTAINERS}`);
const withProgram = (name: string): typeof test => {
  if (hasProgram(name)) return test;
  console.log(`registry: missing ${name}`);
  return test.skip as typeof test;
};

suite('a registry of the store', () => {
  let it: TestEngine;
  let server: RegistryServer;
  let host: string;
  let folder: string;
  beforeAll(async () => {
    it = await openTestEngine();
    server = await it.engine.serveRegistry({ host: '127.0.0.1', port: 0 });
    host = `127.0.0.1:${server.port}`;
    folder = await mkdtemp(join(tmpdir(), 'berth-registry-'));
    await it.build(`${SHELL}CMD ["echo", "from berth"]\n`, { tags: ['model:1'] });
  }, 120_000);
  afterAll(async () => {
    await server.close();
    expect((await it.engine.system.fsck()).problems).toEqual([]);
    await it.close();
    await rm(folder, { recursive: true, force: true });
  });

  withProgram('go')(
    'passes the conformance program of the distribution specification, for pull, push, referrers and deletion',
    async () => {
      await run('go', ['install', PROGRAM], { env: { ...process.env, GOBIN: folder } });
      const outcome = await run(join(folder, 'conformance'), [], {
        cwd: folder,
        maxBuffer: 64 << 20,
        env: {
          OCI_REGISTRY: host,
          OCI_TLS: 'disabled',
          OCI_VERSION: '1.1',
          OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
          // The store knows sha256 alone; blobs are shared by all repositories, so that none can delete one.
          OCI_DATA_SHA512: 'false',
          OCI_API_BLOBS_DELETE: 'false',
        },
      }).catch((error: unknown) => error as { readonly stdout: string });
      expect(outcome.stdout).toMatch(/OCI Conformance Result: Pass/);
      expect(existsSync(join(folder, 'results'))).toBe(true);
    },
    900_000,
  );

  withProgram('skopeo')('gives skopeo an image of the store, and takes one from it', async () => {
    await run('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${host}/model:1`, `dir:${folder}/dir`]);
    await run('skopeo', ['copy', '-q', '--dest-tls-verify=false', `dir:${folder}/dir`, `docker://${host}/by/skopeo:1`]);
    const image = await it.engine.pull(`${host}/by/skopeo:1`);
    expect(image.id).toBe((await it.engine.images.resolve('model:1')).id);
  });

  withProgram('buildah')(
    'serves as base and target of a buildah build',
    async () => {
      await writeFile(join(folder, 'Containerfile'), `FROM ${host}/model:1\nLABEL by=buildah\n`);
      const storage = [
        '--root',
        join(folder, 'containers'),
        '--runroot',
        join(folder, 'run'),
        '--storage-driver',
        'vfs',
      ];
      const name = `${host}/by/buildah:1`;
      const build = [...storage, 'build', '--isolation', 'chroot', '--tls-verify=false', '-t', name, folder];
      await run('buildah', build, { maxBuffer: 16 << 20 });
      await run('buildah', [...storage, 'push', '--tls-verify=false', name, `docker://${name}`]);
      await it.engine.pull(name);
      expect((await it.engine.images.inspect(name))['Config']).toMatchObject({ Labels: { by: 'buildah' } });
    },
    300_000,
  );

  describe('and docker', () => {
    let docker: Docker;
    const withDocker = NO_DOCKER === undefined ? test : (test.skip as typeof test);
    if (NO_DOCKER !== undefined) console.log(`registry: ${NO_DOCKER}`);
    beforeAll(async () => {
      if (NO_DOCKER === undefined) docker = await startDocker();
    }, 600_000);
    afterAll(async () => {
      if (NO_DOCKER === undefined) await docker.stop();
    }, 60_000);

    withDocker(
      'pulls, runs and pushes images, and loads what save writes',
      async () => {
        expect((await docker.docker(['pull', '-q', `${host}/model:1`])).stderr).toBe('');
        const ran = await docker.docker(['run', '--rm', '--network=none', `${host}/model:1`]);
        expect(ran.stdout).toBe('from berth\n');
        await docker.docker(['tag', `${host}/model:1`, `${host}/by/docker:1`]);
        expect((await docker.docker(['push', `${host}/by/docker:1`])).code).toBe(0);
        expect((await it.engine.pull(`${host}/by/docker:1`)).config.rootfs).toEqual(
          (await it.engine.images.resolve('model:1')).config.rootfs,
        );
        const chunks: Uint8Array[] = [];
        await it.engine.images.save(['model:1'], { write: (chunk) => void chunks.push(chunk) });
        const loaded = await docker.docker(['load'], { input: Buffer.concat(chunks) });
        expect(loaded.stdout).toContain('Loaded image: model:1');
        const saved = join(folder, 'by-docker.tar');
        expect((await docker.docker(['save', '-o', saved, 'model:1'])).code).toBe(0);
        const [image] = await it.engine.images.load(createReadStream(saved) as AsyncIterable<Uint8Array>);
        expect(image?.names).toEqual(['docker.io/library/model:1']);
      },
      300_000,
    );
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { copyGraph } from '../../../engine/image/copy.ts';
import { validateImage } from '../../../engine/image/validate.ts';
import { createRegistry } from '../../../engine/registry/registry.ts';
import type { Registry, RegistryOptions } from '../../../engine/registry/types.ts';
import { type DockerRegistry, hasProgram, startDockerRegistry } from '../../helpers/docker-registry.ts';
import { createMemoryStorage } from '../../helpers/memory-registry.ts';
import { addIndex, addSampleImage } from '../../helpers/sample-image.ts';

const isThere = hasProgram('docker-registry');
if (!isThere) console.warn('skipped: docker-registry is not installed (Debian package docker-registry)');
const suite = isThere ? describe : describe.skip;

// Name and password are for this test's own registry: someone, s3cret:with:colons.
const HTPASSWD = 'someone:$2b$05$abcdefghijklmnopqrstuu4Q8xTrgjpfgc6JAW05bPlTJQ8JfbGq6';
const PASSWORD = 's3cret:with:colons';

suite('a real docker-registry', () => {
  let server: DockerRegistry;
  let closed: DockerRegistry;
  const clients: Registry[] = [];
  const client = (options: RegistryOptions = {}): Registry => {
    const made = createRegistry({ timing: { minRetry: 5 }, ...options });
    clients.push(made);
    return made;
  };
  beforeAll(async () => {
    [server, closed] = await Promise.all([startDockerRegistry(), startDockerRegistry({ htpasswd: HTPASSWD })]);
  });
  afterEach(() => Promise.all(clients.splice(0).map((made) => made.close())));
  afterAll(() => Promise.all([server.close(), closed.close()]));

  test('gives back the image that was pushed, byte for byte', async () => {
    const [source, target] = [createMemoryStorage(), createMemoryStorage()];
    const root = addSampleImage(source);
    const repository = client().repository(`${server.address}/team/app`);
    expect(await copyGraph(source, repository, root)).toMatchObject({ uploaded: { blobs: 3 }, existed: 0, mounted: 0 });
    await repository.tag(root, 'v1');

    const reader = client().repository(`${server.address}/team/app`);
    const found = await reader.resolve('v1');
    expect(found).toEqual(root);
    await copyGraph(reader, target, found);
    await validateImage(target, found);
    expect(new Map([...target.contents].sort())).toEqual(new Map([...source.contents].sort()));
    expect(await reader.tags()).toEqual(['v1']);
  });

  test('uploads nothing the second time', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const repository = client().repository(`${server.address}/twice`);
    await copyGraph(source, repository, root);
    expect(await copyGraph(source, repository, root)).toEqual({
      uploaded: { blobs: 0, bytes: 0 },
      existed: 3,
      mounted: 0,
    });
  });

  test('mounts blobs from another repository instead of sending them', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const registry = client();
    await copyGraph(source, registry.repository(`${server.address}/from/here`), root);
    const target = registry.repository(`${server.address}/to/there`);
    const result = await copyGraph(source, target, root, { mountFrom: () => [`${server.address}/from/here`] });
    expect(result).toEqual({ uploaded: { blobs: 0, bytes: 0 }, existed: 0, mounted: 3 });
    await validateImage(target, root);
  });

  test('goes round a mount that cannot be', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const target = client().repository(`${server.address}/no/mount`);
    const result = await copyGraph(source, target, root, { mountFrom: () => [`${server.address}/not/there`] });
    expect(result.uploaded.blobs).toBe(3);
  });

  test('takes large blobs in chunks', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source, { sizes: [3_000_000] });
    const repository = client({ chunkSize: 700_000 }).repository(`${server.address}/chunks`);
    await copyGraph(source, repository, root);
    await validateImage(repository, root);
  });

  test('takes an index, and the machine chooses from it', async () => {
    const source = createMemoryStorage();
    const amd64 = addSampleImage(source);
    const arm64 = addSampleImage(source, { platform: { os: 'linux', architecture: 'arm64' } });
    const index = addIndex(source, [
      [amd64, { os: 'linux', architecture: 'amd64' }],
      [arm64, { os: 'linux', architecture: 'arm64', variant: 'v8' }],
    ]);
    const repository = client().repository(`${server.address}/multi`);
    await copyGraph(source, repository, index);
    await repository.tag(index, 'latest');
    const chosen = await repository.resolve('latest', { platform: { os: 'linux', architecture: 'arm64' } });
    expect(chosen.digest).toBe(arm64.digest);
    await expect(
      repository.resolve('latest', { platform: { os: 'windows', architecture: 'amd64' } }),
    ).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
      message: expect.stringContaining('it has linux/amd64, linux/arm64/v8'),
    });
  });

  test('names the image that is missing', async () => {
    const repository = client().repository(`${server.address}/nothing/here`);
    await expect(repository.resolve('v1')).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      message: expect.stringContaining(`Cannot pull ${server.address}/nothing/here:v1: ${server.address} answered 404`),
    });
  });

  test('logs in with basic authentication, and tells a wrong password from none', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const asked: string[] = [];
    const as = (password: string): Registry =>
      client({
        credentials: async (registry) => {
          asked.push(registry);
          return { username: 'someone', password };
        },
      });
    const name = `${closed.address}/private`;
    await copyGraph(source, as(PASSWORD).repository(name), root);
    expect(new Set(asked)).toEqual(new Set([closed.address]));
    await expect(as('wrong').repository(name).resolve('v1')).rejects.toMatchObject({
      code: 'REGISTRY_UNAUTHORIZED',
      hint: expect.stringContaining('sent and refused'),
    });
    await expect(client().repository(name).resolve('v1')).rejects.toMatchObject({
      code: 'REGISTRY_UNAUTHORIZED',
      hint: expect.stringContaining(`berth login ${closed.address}`),
    });
  });
});

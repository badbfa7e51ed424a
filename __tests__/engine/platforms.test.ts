import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { OnEvent } from '../../engine/base/progress.ts';
import { hostPlatform, type BuildResult, type RegistryServer } from '../../engine/index.ts';
import { takeImage } from '../../src/action/image-input.ts';
import type { Manifest } from '../../engine/image/types.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';

const run = promisify(execFile);
const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);

const HOST = hostPlatform();
const FOREIGN = { os: 'linux', architecture: 's390x' };
const PLATFORMS = [FOREIGN, HOST];
const UNKNOWN = { os: 'unknown', architecture: 'unknown' };
const BOTH = 'docker.io/library/both:1';
/** Cross-compiles: what runs, runs on this machine. */
const DOCKERFILE = `${SHELL.replace('FROM ', 'FROM --platform=$BUILDPLATFORM ')}ARG TARGETARCH
RUN echo "for $TARGETARCH" > /out
FROM scratch
ARG TARGETPLATFORM
ENV FOR=$TARGETPLATFORM
COPY --from=shell /out /out
`;

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly size: number }[];
}

let it: TestEngine;
let other: TestEngine;
let registry: RegistryServer;
let folder: string;
let built: BuildResult;
beforeAll(async () => {
  if (NO_CONTAINERS !== undefined) return;
  [it, other] = [await openTestEngine(), await openTestEngine()];
  registry = await other.engine.serveRegistry({ host: '127.0.0.1', port: 0 });
  folder = await mkdtemp(join(tmpdir(), 'berth-platforms-'));
  await it.write({ 'bin/program': 'no program of this machine' });
  built = await it.build(DOCKERFILE, { platforms: PLATFORMS, tags: ['both:1'] });
});
afterAll(async () => {
  if (NO_CONTAINERS !== undefined) return;
  await registry.close();
  for (const one of [it, other]) {
    expect((await one.engine.system.fsck()).problems).toEqual([]);
    await one.close();
  }
  await rm(folder, { recursive: true, force: true });
});

const environmentOf = (document: Record<string, unknown>): unknown => (document['Config'] as { Env: string[] }).Env;

suite(named('an image for several platforms'), () => {
  test('is an index of an image for each, in their order', async () => {
    expect(built.manifest?.digest).toBe(built.imageId);
    expect(built.platforms?.map(({ platform }) => platform)).toEqual(PLATFORMS);
    const { imageId } = await it.build(DOCKERFILE, { platforms: [...PLATFORMS, FOREIGN] });
    expect(imageId).toBe(built.imageId);
  });

  test('is one image of the list: that of this machine, under the names of all', async () => {
    const images = (await it.engine.images.list()).filter(({ partOf }) => partOf);
    expect(images.map(({ names, config }) => [config.architecture, names])).toEqual(
      expect.arrayContaining([
        [HOST.architecture, ['docker.io/library/both:1']],
        ['s390x', []],
      ]),
    );
    for (const name of ['both:1', built.imageId, built.imageId.slice(7, 19)])
      expect((await it.engine.images.resolve(name)).config.architecture).toBe(HOST.architecture);
  });

  test('is inspected as a whole, or for one platform', async () => {
    const whole = await it.engine.images.inspect('both:1');
    expect(whole).toMatchObject({ Descriptor: built.manifest, Architecture: HOST.architecture });
    const one = await it.engine.images.inspect('both:1', { platform: FOREIGN });
    expect([one['Architecture'], environmentOf(one)]).toEqual(['s390x', expect.arrayContaining(['FOR=linux/s390x'])]);
    await expect(
      it.engine.images.inspect('both:1', { platform: { os: 'linux', architecture: 'vax' } }),
    ).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
      message: expect.stringContaining(`linux/s390x, linux/${HOST.architecture}`) as unknown,
    });
  });

  test('is the base of builds for each of its platforms', async () => {
    const next = await it.build('FROM both:1\nLABEL next=1\n', { platforms: PLATFORMS });
    for (const { imageId, platform } of next.platforms ?? [])
      expect(environmentOf(await it.engine.images.inspect(imageId))).toContain(`FOR=linux/${platform.architecture}`);
  });

  test('keeps its names when it is tagged, and is pushed and pulled whole', async () => {
    const place = `127.0.0.1:${registry.port}/me/both:1`;
    await it.engine.images.tag('both:1', place);
    const { digest } = await it.engine.push(place, place);
    expect(digest).toBe(built.imageId);
    const raw = JSON.parse(
      (await run('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${place}`])).stdout,
    ) as { manifests: { platform: unknown; digest: string }[] };
    expect(raw.manifests).toMatchObject(
      built.platforms?.map(({ platform, manifest }) => ({ platform, digest: manifest.digest })) ?? [],
    );
    expect((await other.engine.pull(place, { platform: FOREIGN })).config.architecture).toBe('s390x');
    expect((await other.engine.pull(place)).config.architecture).toBe(HOST.architecture);
    const alone = await it.engine.push(place, place.replace(':1', ':s390x'), { platform: FOREIGN });
    expect(alone.digest).toBe(built.platforms?.[0]?.manifest.digest);
  });

  test('is served by the registry of its store', async () => {
    const served = await it.engine.serveRegistry({ host: '127.0.0.1', port: 0 });
    const name = `127.0.0.1:${served.port}/both:1`;
    expect((await other.engine.pull(name, { platform: FOREIGN })).config.architecture).toBe('s390x');
    await served.close();
  });

  test('is written whole into an archive, and its files into a folder a platform', async () => {
    const [archive, saved, files] = ['archive.tar', 'saved.tar', 'files'].map((name) => join(folder, name));
    const outputs = [
      { type: 'oci', dest: archive, names: ['both:2'] },
      { type: 'local', dest: files },
    ] as const;
    const { imageId } = await it.build(DOCKERFILE, { platforms: PLATFORMS, outputs });
    expect(imageId).toBe(built.imageId);
    const chunks: Uint8Array[] = [];
    await it.engine.images.save(['both:1'], { write: (chunk) => void chunks.push(chunk) });
    await writeFile(saved ?? '', Buffer.concat(chunks));
    for (const [file, tag] of [
      [archive, 2],
      [saved, 1],
    ]) {
      const { stdout } = await run('skopeo', ['inspect', '--raw', `oci-archive:${file}:${tag}`]);
      expect((JSON.parse(stdout) as { manifests: unknown[] }).manifests).toHaveLength(2);
    }
    expect(await other.engine.images.load(from(chunks))).toEqual([{ id: built.imageId, names: [BOTH] }]);
    const { index, config } = await other.engine.images.resolve(BOTH);
    expect(index?.members.map(({ manifest }) => manifest)).toEqual(built.platforms?.map(({ manifest }) => manifest));
    expect(config.architecture).toBe(HOST.architecture);
    const warnings: string[] = [];
    const [only] = await other.engine.images.load(from(chunks), {
      platform: HOST,
      onEvent: (event) => event.type === 'warning' && warnings.push(event.message),
    });
    expect(only?.id).toBe(built.platforms?.[1]?.imageId);
    expect(warnings).toEqual([expect.stringContaining('left out: linux/s390x')]);
    for (const { architecture } of PLATFORMS)
      expect(await readFile(join(files ?? '', `linux_${architecture}`, 'out'), 'utf8')).toBe(`for ${architecture}\n`);
  });

  test('is the named context of an OCI layout, for each platform that it has', async () => {
    const path = join(folder, 'layout');
    await it.build(DOCKERFILE, {
      platforms: PLATFORMS,
      outputs: [{ type: 'oci', dest: path, tar: false, names: ['l:1'] }],
    });
    const contexts = { base: { type: 'oci-layout', path } } as const;
    const { platforms = [] } = await it.build('FROM base\nLABEL layout=1\n', { platforms: PLATFORMS, contexts });
    for (const { imageId, platform } of platforms)
      expect(environmentOf(await it.engine.images.inspect(imageId))).toContain(`FOR=linux/${platform.architecture}`);
    const alone = await it.build('FROM base\nLABEL layout=2\n', { platforms: [FOREIGN], contexts });
    expect((await it.engine.images.inspect(alone.imageId))['Architecture']).toBe('s390x');
  });

  test('is loaded for each platform that is there, beside attestations too', async () => {
    const path = join(folder, 'attested');
    const outputs = [{ type: 'oci', dest: path, tar: false, names: ['attested:1'] }] as const;
    await it.build(DOCKERFILE, { platforms: PLATFORMS, outputs });
    const blob = (digest: string): string => join(path, 'blobs/sha256', digest.slice('sha256:'.length));
    const root = JSON.parse(await readFile(join(path, 'index.json'), 'utf8')) as Index;
    const index = JSON.parse(await readFile(blob(root.manifests[0]?.digest ?? ''), 'utf8')) as Index;
    const attestation = { ...index.manifests[0], digest: `sha256:${'0'.repeat(64)}`, platform: UNKNOWN };
    const nameAlso = async (entry: object): Promise<string> => {
      const text = JSON.stringify({ ...index, manifests: [...index.manifests, entry] });
      const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
      await writeFile(blob(digest), text);
      const manifests = [{ ...root.manifests[0], digest, size: text.length }];
      await writeFile(join(path, 'index.json'), JSON.stringify({ ...root, manifests }));
      return digest;
    };
    const digest = await nameAlso(attestation);
    const { stdout } = await run('tar', ['-c', '-C', path, '.'], { encoding: 'buffer', maxBuffer: 1e9 });
    const warnings: string[] = [];
    const onEvent: OnEvent = (event) => event.type === 'warning' && warnings.push(event.message);
    const [loaded] = await other.engine.images.load(from([stdout]), { onEvent });
    // The same images, under an index of them alone.
    expect(loaded?.id).toBe(built.imageId);
    expect(warnings).toEqual([
      `Of docker.io/library/attested:1 linux/s390x, linux/amd64 were loaded: attestations are left out, so that its digest is ${loaded?.id ?? ''}, and was ${digest}`,
    ]);
    expect((await other.engine.images.resolve('attested:1')).index?.members).toHaveLength(2);
    // The same as the Action's input `image`, and as a base.
    expect(await takeImage({ kind: 'layout', path }, other.engine, {})).toBe(built.imageId);
    const contexts = { base: { type: 'oci-layout', path } } as const;
    const { platforms = [] } = await it.build('FROM base\nLABEL attested=1\n', { platforms: PLATFORMS, contexts });
    for (const { imageId, platform } of platforms)
      expect(environmentOf(await it.engine.images.inspect(imageId))).toContain(`FOR=linux/${platform.architecture}`);
    // With an image less than it names, the Action would push something else than it was given.
    await nameAlso({ ...attestation, platform: { os: 'linux', architecture: 'riscv64' } });
    await expect(takeImage({ kind: 'layout', path }, other.engine, {})).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('the images for linux/riscv64'),
    });
  });

  test('says its new digest when a lost layer had to be packed again, and takes its names along', async () => {
    const own = await openTestEngine();
    await own.write({ 'bin/program': 'no program of this machine' });
    const outputs = [{ type: 'image', names: ['packed:1'], compression: 'zstd' }] as const;
    const { imageId, platforms = [] } = await own.build(DOCKERFILE, { platforms: PLATFORMS, outputs });
    const blob = (digest: string): string => join(own.root, 'blobs/sha256', digest.slice('sha256:'.length));
    const { layers } = JSON.parse(await readFile(blob(platforms[0]?.manifest.digest ?? ''), 'utf8')) as Manifest;
    await rm(blob(layers[0]?.digest ?? ''));
    const warnings: string[] = [];
    const onEvent: OnEvent = (event) => event.type === 'warning' && warnings.push(event.message);
    await own.engine.images.save(['packed:1'], { write: () => undefined, onEvent });
    const { index } = await own.engine.images.resolve('packed:1');
    expect(index?.descriptor.digest).not.toBe(imageId);
    expect(index?.members.map(({ platform }) => platform)).toMatchObject(PLATFORMS);
    expect(warnings).toContain(
      `docker.io/library/packed:1 has the digest ${String(index?.descriptor.digest)} from now on: layers that were lost had to be packed again`,
    );
    await expect(own.engine.images.resolve(imageId)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    warnings.length = 0;
    await own.engine.images.save(['packed:1'], { write: () => undefined, onEvent });
    expect(warnings).toEqual([]);
    await own.close();
  });

  test('whose blob is lost is found by a check; its names stay with the image of this machine', async () => {
    const broken = await openTestEngine();
    await broken.write({ 'bin/program': 'no program of this machine' });
    const { platforms = [], imageId } = await broken.build(DOCKERFILE, { platforms: PLATFORMS, tags: ['both:1'] });
    await rm(join(broken.root, 'blobs/sha256', platforms[0]?.manifest.digest.slice('sha256:'.length) ?? ''));
    const { problems } = await broken.engine.system.fsck();
    expect(problems).toContainEqual(
      `the index ${imageId} ${BOTH} lacks manifest ${String(platforms[0]?.manifest.digest)}`,
    );
    await broken.engine.system.fsck({ repair: true });
    expect((await broken.engine.system.fsck()).problems).toEqual([]);
    expect((await broken.engine.images.resolve(BOTH)).id).toBe(platforms[1]?.imageId);
    await broken.close();
  });

  test('says what to install where a program of another machine does not start', async () => {
    const { imageId } = await it.build('FROM scratch\nCOPY bin/program /program\n', { platforms: [FOREIGN] });
    await expect(it.engine.containers.run({ image: imageId, command: ['/program'] })).rejects.toMatchObject({
      code: 'NATIVE_COMMAND_NOT_EXECUTABLE',
      message: expect.stringContaining('is for linux/s390x') as unknown,
      hint: expect.stringContaining('qemu-user-static') as unknown,
    });
  });

  test.each([
    [{ type: 'tar', dest: '/x' }, /type=local/],
    [{ type: 'docker', dest: '/x' }, /type=oci/],
  ] as const)('is refused as the output %j before anything is built', async (output, hint) => {
    await expect(it.build(DOCKERFILE, { platforms: PLATFORMS, outputs: [output] })).rejects.toMatchObject({
      code: 'OUTPUT_INVALID',
      hint: expect.stringMatching(hint) as unknown,
    });
  });

  test('of one platform is an index too where the build argument asks for it', async () => {
    const { manifest, platforms } = await it.build(`${DOCKERFILE}LABEL one=1\n`, {
      buildArgs: { BUILDKIT_MULTI_PLATFORM: '1' },
    });
    expect([manifest?.mediaType, platforms?.length]).toEqual([expect.stringContaining('index'), 1]);
  });

  test('outlives a prune as a whole, and goes as a whole with its last name', async () => {
    await it.engine.system.prune();
    expect((await it.engine.images.inspect('both:1', { platform: FOREIGN }))['Architecture']).toBe('s390x');
    await it.engine.images.remove(`127.0.0.1:${registry.port}/me/both:1`);
    expect((await it.engine.system.fsck()).problems).toEqual([]);
    const lines = await it.engine.images.remove('both:1');
    expect(lines).toEqual([
      'Untagged: both:1',
      `Deleted: ${built.imageId}`,
      ...(built.platforms?.map(({ imageId }) => `Deleted: ${imageId}`) ?? []),
    ]);
    expect((await it.engine.images.list()).filter(({ partOf }) => partOf)).toEqual([]);
  });
});

async function* from(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

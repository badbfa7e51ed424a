import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BuildOutput, BuildRequest, RegistryServer } from '../../engine/index.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';

const run = promisify(execFile);
const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);

const DOCKERFILE = `${SHELL}RUN mkdir /data && echo x > /data/x && chmod 4755 /data/x && ln -s /etc/passwd /data/link && mkfifo /data/pipe
FROM scratch AS files
COPY --from=shell /data /data
`;
let it: TestEngine;
let other: TestEngine;
let registry: RegistryServer;
let host: string;
let folder: string;
beforeAll(async () => {
  if (NO_CONTAINERS !== undefined) return;
  [it, other] = [await openTestEngine(), await openTestEngine()];
  registry = await other.engine.serveRegistry({ host: '127.0.0.1', port: 0 });
  host = `127.0.0.1:${registry.port}`;
  folder = await mkdtemp(join(tmpdir(), 'berth-outputs-'));
});
afterAll(async () => {
  if (NO_CONTAINERS !== undefined) return;
  await registry.close();
  for (const engine of [it, other]) {
    expect((await engine.engine.system.fsck()).problems).toEqual([]);
    await engine.close();
  }
  await rm(folder, { recursive: true, force: true });
});

const make = async (...outputs: readonly BuildOutput[]): ReturnType<TestEngine['build']> =>
  it.build(DOCKERFILE, { outputs });

suite(named('an output'), () => {
  test('as a folder belongs to the user, replaces links that lie there, and keeps no image', async () => {
    const dest = join(folder, 'out');
    await mkdir(join(folder, 'elsewhere'));
    await mkdir(dest);
    await symlink(join(folder, 'elsewhere'), join(dest, 'data'));
    const built = await make({ type: 'local', dest });
    expect(await readFile(join(dest, 'data/x'), 'utf8')).toBe('x\n');
    const { mode, uid } = await stat(join(dest, 'data/x'));
    expect([mode & 0o7777, uid]).toEqual([0o755, process.getuid?.()]);
    await expect(stat(join(folder, 'elsewhere/x'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(built.warnings.map(({ message }) => message).join()).toContain('set-id bits');
    expect(await it.engine.images.list()).toEqual([]);
  });

  test('as a tar is streamed, and no file in it is later than SOURCE_DATE_EPOCH', async () => {
    const chunks: Uint8Array[] = [];
    const outputs = [{ type: 'tar' as const, write: (chunk: Uint8Array) => void chunks.push(chunk) }];
    await it.build(DOCKERFILE, { outputs, buildArgs: { SOURCE_DATE_EPOCH: '1600000000' } });
    await writeFile(join(folder, 'out.tar'), Buffer.concat(chunks));
    const { stdout } = await run('tar', ['tvf', join(folder, 'out.tar'), '--utc']);
    expect(stdout).toMatch(/-rwsr-xr-x 0\/0 +2 2020-09-13 12:26 data\/x/);
    expect(stdout).toContain('data/link -> /etc/passwd');
  });

  test('takes SOURCE_DATE_EPOCH of an ARG before the first FROM, unless the user gives another', async () => {
    const created = async (dockerfile: string, buildArgs: Readonly<Record<string, string>> = {}): Promise<unknown> => {
      const { imageId } = await it.build(dockerfile, { buildArgs });
      return (await it.engine.images.inspect(imageId))['Created'];
    };
    const file = 'ARG DAY=86400\nARG SOURCE_DATE_EPOCH=$DAY\nFROM scratch\nCOPY busybox /\n';
    expect(await created(file)).toBe('1970-01-02T00:00:00Z');
    expect(await created(file, { SOURCE_DATE_EPOCH: '0' })).toBe('1970-01-01T00:00:00Z');
    await expect(created(file.replace('86400', 'stage'))).rejects.toMatchObject({
      code: 'EPOCH_INVALID',
      message: expect.stringContaining('no stage or named context has that name') as unknown,
    });
    expect(await created(file.replace('86400', 'context'))).not.toMatch(/^1970/);
  });

  test('as layout folder and archive is read by skopeo, packed as it was asked for', async () => {
    const [layout, archive] = [join(folder, 'layout'), join(folder, 'archive.tar')];
    await make(
      { type: 'oci', dest: layout, tar: false, names: ['a:1'], compression: 'zstd', forceCompression: true },
      { type: 'oci', dest: layout, tar: false, names: ['a:2'], compression: 'uncompressed', forceCompression: true },
      { type: 'docker', dest: archive, names: ['me/b:1'], annotations: { why: 'test' } },
    );
    const types = async (ref: string): Promise<unknown> =>
      (
        JSON.parse((await run('skopeo', ['inspect', '--raw', ref])).stdout) as { layers: { mediaType: string }[] }
      ).layers.map(({ mediaType }) => mediaType.replace(/.*\./, ''));
    expect(await types(`oci:${layout}:1`)).toEqual(['tar+zstd']);
    expect(await types(`oci:${layout}:2`)).toEqual(['tar']);
    await run('skopeo', ['copy', '-q', `docker-archive:${archive}:me/b:1`, `dir:${folder}/dir`]);
    const raw = JSON.parse((await run('skopeo', ['inspect', '--raw', `oci-archive:${archive}:1`])).stdout) as object;
    expect(raw).toMatchObject({ annotations: { why: 'test' } });
  });

  test('to a registry is pushed under its names, with the types that were asked for', async () => {
    const names = [`${host}/me/pushed:1`, `${host}/me/pushed:2`];
    const built = await make({ type: 'registry', names, ociMediaTypes: false });
    expect(built.pushed?.map(({ digest }) => digest)).toEqual([built.manifest?.digest, built.manifest?.digest]);
    const ref = `docker://${host}/me/pushed:2`;
    const { stdout } = await run('skopeo', ['inspect', '--tls-verify=false', '--raw', ref]);
    expect(JSON.parse(stdout)).toMatchObject({ mediaType: 'application/vnd.docker.distribution.manifest.v2+json' });
  });

  test('gives the same bytes from two builds without cache, with rewrite-timestamp', async () => {
    const archives = [join(folder, 'first.tar'), join(folder, 'second.tar')];
    for (const dest of archives) {
      const outputs = [{ type: 'oci' as const, dest, names: ['same:1'], rewriteTimestamp: true }];
      await it.build(DOCKERFILE, { outputs, noCache: true, buildArgs: { SOURCE_DATE_EPOCH: '1700000000' } });
    }
    const [first, second] = await Promise.all(archives.map((archive) => readFile(archive)));
    expect(first?.equals(second ?? Buffer.alloc(0))).toBe(true);
    const { stdout } = await run('skopeo', [
      'inspect',
      '--format',
      '{{.Created.Unix}}',
      `oci-archive:${archives[0] ?? ''}:1`,
    ]);
    expect(stdout.trim()).toBe('1700000000');
  });

  test.each<readonly [BuildOutput, RegExp]>([
    [{ type: 'registry' }, /no name to push to/],
    [{ type: 'oci' }, /needs a file/],
    [{ type: 'local' }, /needs a folder/],
    [{ type: 'oci', dest: '/x', rewriteTimestamp: true }, /needs SOURCE_DATE_EPOCH/],
    [{ type: 'oci', dest: '/x', compressionLevel: 10 }, /not from 1 to 9/],
  ])('that cannot be is refused before anything is built: %j', async (output, message) => {
    await expect(make(output)).rejects.toMatchObject({
      code: 'OUTPUT_INVALID',
      message: expect.stringMatching(message),
    });
  });

  test('into a file that cannot be written names it', async () => {
    await writeFile(join(folder, 'plain'), '');
    await expect(make({ type: 'oci', dest: join(folder, 'plain/x.tar') })).rejects.toMatchObject({
      message: expect.stringContaining('plain/x.tar'),
    });
  });
});

suite(named('a build cache'), () => {
  const stages = `FROM scratch AS builder
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "echo made > /made"]
FROM scratch
COPY busybox /bin/busybox
COPY --from=builder /made /made
`;

  /** The stage that is copied from has files of another itself: its key is known without them. */
  const nested = stages.replace(
    'FROM scratch\n',
    `FROM builder AS last
COPY busybox /context
RUN ["/bin/busybox", "sh", "-c", "echo more > /more"]
FROM builder
COPY --from=last /more /more
RUN ["/bin/busybox", "sh", "-c", "cat /more > /again"]
FROM scratch
COPY --from=1 /more /more
COPY --from=2 /again /again
`,
  );

  test('in a registry and in a folder serves another machine, whose image is the same', async () => {
    const dest = join(folder, 'cache');
    const first = await it.build(stages, {
      cacheTo: [
        { type: 'local', dest, mode: 'max' },
        { type: 'registry', ref: `${host}/me/cache:1`, mode: 'min' },
      ],
    });
    expect(first.warnings).toEqual([]);
    for (const source of [
      { type: 'local' as const, src: dest },
      { type: 'registry' as const, ref: `${host}/me/cache:1` },
    ]) {
      const fresh = await openTestEngine();
      const again = await fresh.build(stages, { cacheFrom: [source], tags: ['again'] });
      expect([again.steps.executed, again.imageId]).toEqual([0, first.imageId]);
      // Its layers come from there when somebody needs them.
      await fresh.engine.push('again', `${host}/me/from-cache:1`);
      await fresh.close();
    }
  });

  test('that keeps the layers of the image alone tells of stages within stages all the same', async () => {
    const dest = join(folder, 'cache-min');
    const first = await it.build(nested, { cacheTo: [{ type: 'local', dest, mode: 'min' }] });
    const fresh = await openTestEngine();
    const again = await fresh.build(nested, { cacheFrom: [{ type: 'local', src: dest }] });
    expect([again.steps.executed, again.imageId]).toEqual([0, first.imageId]);
    await fresh.close();
  });

  test.each([
    ['--cache-to type=inline', { cacheTo: [{ type: 'inline', mode: 'min' }] }],
    ['BUILDKIT_INLINE_CACHE', { buildArgs: { BUILDKIT_INLINE_CACHE: '1' } }],
  ] as const)('in the image by %s serves another machine, whose image is the same', async (_how, asked) => {
    const ref = `${host}/me/inline:1`;
    const first = await it.build(nested, { ...asked, noCache: true, outputs: [{ type: 'registry', names: [ref] }] });
    expect((await it.build(nested, asked)).imageId).toBe(first.imageId);
    expect((await it.build(nested)).imageId).not.toBe(first.imageId);
    // What this engine has built beside it has no part in it, nor what the steps were given.
    await it.build(nested.replace('echo made', 'echo other'), asked);
    expect((await it.build(nested, asked)).imageId).toBe(first.imageId);
    expect(await readFile(join(it.root, 'blobs/sha256', first.imageId.slice(7)), 'utf8')).toMatch(
      /"berth\.cache\.v1":\{"records":\[\{"v":1,"key":"[^"]*","op":\{"type":"[a-z-]*"\}/,
    );
    const fresh = await openTestEngine();
    const again = await fresh.build(nested, { ...asked, cacheFrom: [{ type: 'registry', ref }], tags: ['again'] });
    expect([again.steps.executed, again.imageId, again.warnings]).toEqual([0, first.imageId, []]);
    await fresh.engine.push('again', `${host}/me/from-inline:1`);
    // What stands on it has a cache of its own, or none.
    const { imageId } = await fresh.build('FROM again\nLABEL a=b\n');
    const bytes = await readFile(join(fresh.root, 'blobs/sha256', imageId.slice(7)), 'utf8');
    expect(bytes).not.toContain('berth.cache');
    await fresh.close();
  });

  test('in the image serves after a change without effect, and no stage is begun that is not needed', async () => {
    const stages = `${SHELL}FROM shell AS a
ARG V
RUN echo $V >/v; echo same >/same
FROM shell AS b
RUN --mount=type=secret,id=token,required=true cat /run/secrets/token >/b
FROM shell
COPY --from=a /same /same
COPY --from=b /b /b
`;
    const asked = { cacheTo: [{ type: 'inline', mode: 'min' }] } as const;
    const toPush = (version: string): Partial<BuildRequest> => ({
      ...asked,
      buildArgs: { V: version },
      outputs: [{ type: 'registry', names: [`${host}/me/effect:${version}`] }],
    });
    const from = (version: string): Partial<BuildRequest> => ({
      ...asked,
      buildArgs: { V: '2' },
      cacheFrom: [{ type: 'registry', ref: `${host}/me/effect:${version}` }],
    });
    await it.build(stages, { ...toPush('1'), secrets: [{ id: 'token', value: Buffer.from('b') }] });
    // From here on without the secret: whoever begins b fails.
    const changed = await openTestEngine();
    expect((await changed.build(stages, from('1'))).steps.executed).toBe(1);
    const left = await readdir(join(changed.root, 'snapshots/root'));
    expect(left.filter((name) => name.startsWith('upper-'))).toEqual([]);
    await changed.close();
    await it.build(stages, toPush('2'));
    const fresh = await openTestEngine();
    expect((await fresh.build(stages, from('2'))).steps.executed).toBe(0);
    await fresh.close();
  });

  test('in the image is refused beside layers that are rewritten', async () => {
    const outputs = [{ type: 'registry', names: ['x:1'], rewriteTimestamp: true }] as const;
    const asked = { cacheTo: [{ type: 'inline', mode: 'min' }], buildArgs: { SOURCE_DATE_EPOCH: '1' } } as const;
    await expect(it.build(stages, { ...asked, outputs })).rejects.toMatchObject({ code: 'OUTPUT_INVALID' });
  });

  test('that is not there, or is none, is a warning', async () => {
    await make({ type: 'registry', names: [`${host}/me/image:1`] });
    const built = await it.build(stages, {
      cacheFrom: [
        { type: 'local', src: join(folder, 'nowhere') },
        { type: 'registry', ref: `${host}/me/image:1` },
      ],
    });
    expect(built.warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('nowhere'),
      expect.stringContaining('it carries no cache of berth'),
    ]);
  });

  test('is explained where it did not serve', async () => {
    const changed = stages.replace('echo made', 'echo remade');
    const { explanations } = await it.build(changed, { explain: true });
    expect(explanations?.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('the command was'),
      'the files that it copies have changed',
    ]);
  });
});

suite(named('a platform that is not this machine’s'), () => {
  const foreign = { os: 'linux', architecture: 's390x' };
  test('is built where nothing must run, and refused by the line that must', async () => {
    const built = await it.build('FROM scratch\nCOPY busybox /b\nENV A=b\n', { platform: foreign, tags: ['foreign'] });
    expect((await it.engine.images.resolve(built.imageId)).config.architecture).toBe('s390x');
    await expect(it.build(SHELL, { platform: foreign })).rejects.toMatchObject({
      code: 'PLATFORM_UNSUPPORTED',
      location: { startLine: 3 },
    });
  });
});

suite(named('the registry of a store'), () => {
  test('serves its images by their names, complete', async () => {
    await other.build(SHELL, { tags: ['served:1', 'ghcr.io/me/served:2'] });
    const { id } = await other.engine.images.resolve('served:1');
    for (const name of ['served:1', 'library/served:1', 'me/served:2', 'ghcr.io/me/served:2'])
      expect((await it.engine.pull(`${host}/${name}`)).id).toBe(id);
    const catalog = (await (await fetch(`http://${host}/v2/_catalog`)).json()) as { repositories: string[] };
    expect(catalog.repositories).toEqual(
      expect.arrayContaining(['served', 'library/served', 'me/served', 'ghcr.io/me/served']),
    );
  });
});

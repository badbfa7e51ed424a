import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';
import { findImages, type FoundImage } from '../../../engine/archive/images.ts';
import { layoutFiles, blobName } from '../../../engine/archive/layout.ts';
import { readArchive, type ArchiveFiles, type Draft } from '../../../engine/archive/read.ts';
import { writeTar } from '../../../engine/archive/write.ts';
import { collect } from '../../../engine/base/collect.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import type { Descriptor, Digest, Manifest } from '../../../engine/image/types.ts';
import { createMemoryStorage } from '../../helpers/memory-registry.ts';
import { addSampleImage } from '../../helpers/sample-image.ts';
import { runs } from '../../helpers/property.ts';

const platform = { os: 'linux', architecture: 'amd64' };

interface Kept extends Draft {
  readonly bytes: () => Buffer;
}

function openDraft(): Promise<Kept> {
  const chunks: Buffer[] = [];
  const bytes = (): Buffer => Buffer.concat(chunks);
  return Promise.resolve({
    bytes,
    write: async (chunk) => void chunks.push(Buffer.from(chunk)),
    seal: () => ({ digest: digestOf(bytes()), size: bytes().length }),
  });
}

async function* pieces(content: Buffer, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

const read = (content: Buffer): Promise<ArchiveFiles<Kept>> => readArchive(pieces(content), openDraft);
const find = async (content: Buffer): Promise<readonly FoundImage<Kept>[]> =>
  findImages(await read(content), { host: platform, read: async ({ draft }) => draft.bytes() });

type Members = Readonly<Record<string, Buffer | string | Partial<Header>>>;

/** A tar by another tool than ours. */
async function tarOf(members: Members): Promise<Buffer> {
  const archive = pack();
  for (const [name, member] of Object.entries(members)) {
    if (Buffer.isBuffer(member) || typeof member === 'string') archive.entry({ name }, member);
    else archive.entry({ name, ...member });
  }
  archive.finalize();
  return await collect(archive as AsyncIterable<Uint8Array>, 'the archive', 64 << 20);
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** The files of an archive of one image. */
function imageFiles(names: readonly string[] = ['docker.io/library/model:1']): {
  readonly members: Record<string, Buffer>;
  readonly manifest: Descriptor;
  readonly content: Manifest;
} {
  const storage = createMemoryStorage();
  const manifest = addSampleImage(storage, { sizes: [100, 3000] });
  const bytes = (digest: Digest): Buffer => storage.contents.get(digest) ?? Buffer.alloc(0);
  const content = JSON.parse(bytes(manifest.digest).toString()) as Manifest;
  const { files, blobs } = layoutFiles([{ manifest, content, platform, names }], 'docker');
  const members = { ...files, ...Object.fromEntries(blobs.map(({ digest }) => [blobName(digest), bytes(digest)])) };
  return { members, manifest, content };
}

/** The same in the format of older Dockers: plain layers in folders, no index. */
function dockerFiles(): Record<string, Buffer> {
  const layer = Buffer.concat([Buffer.from('layer'), Buffer.alloc(1024)]);
  const config = json({
    ...platform,
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    history: [{ created_by: 'COPY' }],
  });
  const name = `${createHash('sha256').update(config).digest('hex')}.json`;
  const manifest = [{ Config: name, RepoTags: ['old:1'], Layers: ['abc/layer.tar'] }];
  return { [name]: config, 'abc/layer.tar': layer, 'manifest.json': json(manifest) };
}

describe('a tar of ours', () => {
  test('holds what went in, whatever names and sizes it has', async () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}(\/[a-z0-9][a-z0-9._-]{0,20}){0,3}$/);
    const files = fc.dictionary(name, fc.uint8Array({ maxLength: 3000 }), { minKeys: 1, maxKeys: 8 });
    await fc.assert(
      fc.asyncProperty(files, async (wanted) => {
        const entries = Object.entries(wanted).map(([entry, content]) => ({
          name: entry,
          size: content.length,
          content,
        }));
        const tar = await collect(writeTar(entries), 'tar', 1 << 20);
        const found = await read(tar);
        expect(Object.fromEntries([...found].map(([key, { draft }]) => [key, new Uint8Array(draft.bytes())]))).toEqual(
          wanted,
        );
      }),
      runs(40),
    );
  });

  test('says sizes that octal digits cannot hold', async () => {
    const size = 9 * 1024 ** 3;
    const header = await writeTar([{ name: 'large', size, content: new Uint8Array() }]).next();
    const block = Buffer.from(header.value as Uint8Array);
    expect([block[124], Number(block.readBigUInt64BE(128))]).toEqual([0x80, size]);
  });

  test('is not written when a file has other bytes than announced', async () => {
    const broken = writeTar([{ name: 'short', size: 3, content: Buffer.from('ab') }]);
    await expect(collect(broken, 'tar', 1 << 20)).rejects.toThrow('short has 2 bytes');
  });
});

describe('an archive of images', () => {
  test('gives the images of an OCI layout with their names and digests, packed or not', async () => {
    const { members, manifest, content } = imageFiles(['docker.io/library/model:1', 'ghcr.io/me/model:2']);
    for (const tar of [await tarOf(members), gzipSync(await tarOf(members))]) {
      const [image, ...others] = await find(tar);
      expect(others).toEqual([]);
      expect(image?.manifest?.digest).toBe(manifest.digest);
      expect(image?.descriptors.config.digest).toBe(content.config.digest);
      expect(image?.names).toEqual(['docker.io/library/model:1', 'ghcr.io/me/model:2']);
    }
  });

  test('gives the images of the format of older Dockers, layers shared by links as well', async () => {
    const files = dockerFiles();
    const { 'abc/layer.tar': layer = Buffer.alloc(0), ...rest } = files;
    const linked = {
      ...rest,
      'real/layer.tar': layer,
      'abc/layer.tar': { type: 'symlink' as const, linkname: '../real/layer.tar' },
    };
    for (const tar of [await tarOf(files), await tarOf(linked)]) {
      const [image] = await find(tar);
      expect(image).toMatchObject({ names: ['old:1'], descriptors: { layers: [{ digest: digestOf(layer) }] } });
      expect(image?.manifest).toBeUndefined();
    }
  });

  test('takes a tag alone for no name', async () => {
    const { members, manifest } = imageFiles([]);
    const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
    const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
    expect((await find(await tarOf({ ...members, 'index.json': json(index) })))[0]?.names).toEqual([]);
  });
});

describe('a hostile archive is refused by what is wrong with it:', () => {
  const { members, manifest, content } = imageFiles();
  const layer = content.layers[1];
  const layerName = blobName(layer?.digest ?? manifest.digest);
  const without = (name: string): Members =>
    Object.fromEntries(Object.entries(members).filter(([key]) => key !== name));
  const docker = dockerFiles();
  const huge = Buffer.from(`{"schemaVersion":2,"x":"${'a'.repeat(5 * 1024 * 1024)}"}`);
  const cases: readonly (readonly [string, Members, RegExp])[] = [
    ['a missing layer', without(layerName), new RegExp(`there is no ${layerName}`)],
    ['a missing config', without(blobName(content.config.digest)), /config of .* is missing/],
    [
      'a layer with other bytes',
      { ...members, [layerName]: 'other' },
      /Cannot load blobs\/sha256.*got 5 bytes with digest/,
    ],
    ['an index that is no JSON', { ...members, 'index.json': '{' }, /index\.json/],
    ['an index of megabytes', { ...members, 'index.json': huge }, /index\.json.*over the limit/],
    [
      'an index without images',
      { ...members, 'index.json': json({ schemaVersion: 2, manifests: [] }) },
      /names no image/,
    ],
    ['a name that leads out', { ...members, '../../etc/cron.d/x': 'x' }, /leads out/],
    ['an absolute name', { ...members, '/etc/x': 'x' }, /leads out/],
    ['a link that leads out', { ...members, 'l/x': { type: 'symlink', linkname: '../../etc/passwd' } }, /leads out/],
    ['neither index nor manifest', { 'bin/sh': 'x' }, /neither index\.json nor manifest\.json/],
    ['the format of before 1.10', { repositories: '{}' }, /before 1\.10/],
    [
      'a manifest.json that names what is not there',
      { ...docker, 'manifest.json': json([{ Config: 'x.json', Layers: [] }]) },
      /names "x\.json"/,
    ],
    [
      'a plain layer with another digest',
      { ...docker, 'abc/layer.tar': Buffer.alloc(1024) },
      /abc\/layer\.tar: its digest is/,
    ],
    [
      'a config that is not what it is named by',
      { ...docker, 'manifest.json': renamed(), [`${'0'.repeat(64)}.json`]: configOf(docker) },
      /its digest is/,
    ],
    [
      'a layer packed with xz',
      { ...docker, 'abc/layer.tar': Buffer.from('\xfd7zXZ\0......', 'latin1') },
      /packed with xz/,
    ],
  ];
  test.each(cases)('%s', async (_name, files, message) => {
    await expect(find(await tarOf(files))).rejects.toMatchObject({ message: expect.stringMatching(message) });
  });

  test('what is no tar, is cut off, or is damaged while packed', async () => {
    const tar = await tarOf(members);
    const cut = tar.subarray(0, 3000);
    const damaged = gzipSync(tar);
    damaged.fill(0xff, 40, 60);
    for (const bytes of [
      Buffer.from('hello'.repeat(500)),
      Buffer.alloc(0),
      cut,
      damaged,
      gzipSync(tar).subarray(0, 200),
    ])
      await expect(find(bytes)).rejects.toMatchObject({ code: expect.stringMatching(/ARCHIVE_INVALID/) });
  });
});

function configOf(files: Readonly<Record<string, Buffer>>): Buffer {
  return Object.entries(files).find(([name]) => /^[0-9a-f]{64}\.json$/.test(name))?.[1] ?? Buffer.alloc(0);
}

function renamed(): Buffer {
  return json([{ Config: `${'0'.repeat(64)}.json`, Layers: ['abc/layer.tar'] }]);
}

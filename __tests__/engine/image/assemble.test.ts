import { describe, expect, test } from '@jest/globals';
import { assemble, checkDraft, type AssembleRequest } from '../../../engine/image/assemble.ts';
import { chainId } from '../../../engine/image/chain-id.ts';
import { parseConfig } from '../../../engine/image/config.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import { parseManifest } from '../../../engine/image/manifest.ts';
import { DOCKER_LAYER_GZIP, OCI_LAYER_GZIP } from '../../../engine/image/media-type.ts';
import type { ImageConfig } from '../../../engine/image/types.ts';

const diff = (name: string) => digestOf(`diff ${name}`);
const blob = (name: string, mediaType = OCI_LAYER_GZIP) => ({ mediaType, digest: digestOf(`blob ${name}`), size: 10 });
const layer = (name: string, createdAt: string) => ({ diffId: diff(name), descriptor: blob(name), createdAt });

const base: ImageConfig = {
  created: '2024-01-01T00:00:00Z',
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [diff('base')] },
  history: [
    { created: '2024-01-01T00:00:00Z', created_by: 'debian' },
    { created: '2024-01-01T00:00:01Z', created_by: 'CMD', empty_layer: true },
  ],
  config: { Env: ['A=1'], Hostname: 'kept' } as ImageConfig['config'] & object,
  ...{ docker_version: '20', container: 'dropped', 'moby.buildkit.cache.v0': 'dropped' },
};
const request: AssembleRequest = {
  draft: {
    platform: { os: 'linux', architecture: 'amd64' },
    base,
    config: { WorkingDir: '/app', Env: ['A=1', 'B=2'], Labels: { z: '1', a: '2' }, Cmd: ['run'] },
    history: [
      { createdBy: 'ENV B=2' },
      { createdBy: 'WORKDIR /app', vertex: 'v1' },
      { createdBy: 'RUN make', vertex: 'v2' },
      { createdBy: 'WORKDIR /app', vertex: 'v3' },
      { createdBy: 'CMD ["run"]' },
    ],
  },
  baseLayers: [blob('base', DOCKER_LAYER_GZIP)],
  layers: [layer('work', '2024-03-01T00:00:00Z'), layer('make', '2024-02-01T00:00:00Z'), null],
};

describe('assemble', () => {
  test('continues the base: history with times of the records, newest layer as time, unknown fields kept', () => {
    const { imageConfig } = assemble(request);
    expect(imageConfig.created).toBe('2024-03-01T00:00:00Z');
    expect(imageConfig.rootfs.diff_ids).toEqual([diff('base'), diff('work'), diff('make')]);
    expect(
      imageConfig.history?.map(({ created, created_by, comment, empty_layer }) => [
        created_by,
        created,
        comment,
        empty_layer,
      ]),
    ).toEqual([
      ['debian', '2024-01-01T00:00:00Z', undefined, undefined],
      ['CMD', '2024-01-01T00:00:01Z', undefined, true],
      ['ENV B=2', '2024-01-01T00:00:01Z', 'buildkit.dockerfile.v0', true],
      ['WORKDIR /app', '2024-03-01T00:00:00Z', 'buildkit.dockerfile.v0', undefined],
      ['RUN make', '2024-02-01T00:00:00Z', 'buildkit.dockerfile.v0', undefined],
      ['WORKDIR /app', '2024-02-01T00:00:00Z', 'buildkit.dockerfile.v0', true],
      ['CMD ["run"]', '2024-02-01T00:00:00Z', 'buildkit.dockerfile.v0', true],
    ]);
    expect(imageConfig).toMatchObject({ docker_version: '20', config: { Hostname: 'kept', WorkingDir: '/app' } });
    expect(Object.keys(imageConfig)).not.toEqual(expect.arrayContaining(['container']));
    expect(Object.keys(imageConfig).filter((key) => key.startsWith('moby'))).toEqual([]);
  });

  test('writes bytes that read back as what they say, in a fixed order', () => {
    const { config, manifest, id } = assemble(request);
    expect(id).toBe(digestOf(config.content));
    expect(parseConfig(config.content, { what: 'it', layers: 3 }).rootfs.diff_ids).toHaveLength(3);
    const text = config.content.toString();
    expect(Object.keys(JSON.parse(text) as object)).toEqual([
      'architecture',
      'config',
      'created',
      'docker_version',
      'history',
      'os',
      'rootfs',
    ]);
    expect(text).toContain(
      '"Env":["A=1","B=2"],"Cmd":["run"],"WorkingDir":"/app","Labels":{"a":"2","z":"1"},"Hostname":"kept"',
    );
    const parsed = parseManifest(manifest?.content ?? Buffer.alloc(0), { what: 'it' });
    expect(parsed.config).toEqual(config.descriptor);
    expect(parsed.layers).toEqual([blob('base'), blob('work'), blob('make')]);
  });

  test('gives the same bytes for the same records in whatever order their keys stand', () => {
    const { draft } = request;
    const turned = {
      ...request,
      draft: {
        ...draft,
        config: { Cmd: ['run'], Labels: { a: '2', z: '1' }, Env: ['A=1', 'B=2'], WorkingDir: '/app' },
      },
    };
    expect(assemble(turned).id).toBe(assemble(request).id);
  });

  test('is for the machine that its base is for, whatever was asked for', () => {
    const { variant, ...arm } = { os: 'linux', architecture: 'arm64', variant: 'v8' };
    const draft = { ...request.draft, platform: arm };
    expect(assemble({ ...request, draft }).imageConfig).toMatchObject({ architecture: 'amd64' });
    const onArm = { ...draft, base: { ...base, ...arm, variant } };
    expect(assemble({ ...request, draft: onArm }).imageConfig).toMatchObject({ architecture: 'arm64', variant });
  });

  test('makes no configuration that is too large to be read again', () => {
    const Labels = { a: 'b'.repeat(4 * 1024 * 1024) };
    const large = { ...request, draft: { ...request.draft, config: { Labels } } };
    expect(() => assemble(large)).toThrow(/its configuration has \d+ bytes, over the limit of 4194304/);
  });

  test('tells before there are layers that a configuration will be too large, and never of one that can be made', () => {
    const sized = (length: number): typeof request => ({
      ...request,
      draft: { ...request.draft, config: { Labels: { a: 'b'.repeat(length) } } },
    });
    // As long as it can be with these layers.
    const limit = 4 * 1024 * 1024 - assemble(sized(0)).config.content.length;
    expect(() => assemble(sized(limit))).not.toThrow();
    expect(() => checkDraft(sized(limit).draft)).not.toThrow();
    expect(() => assemble(sized(limit + 1))).toThrow('over the limit');
    expect(() => checkDraft(sized(limit + 1000).draft)).toThrow(
      /its configuration has at least \d+ bytes, over the limit of 4194304/,
    );
  });

  test('makes no manifest while a blob is unknown', () => {
    const { diffId, createdAt } = layer('make', '2024-02-01T00:00:00Z');
    expect(
      assemble({ ...request, layers: [layer('work', createdAt), { diffId, createdAt }, null] }).manifest,
    ).toBeUndefined();
    const { baseLayers: _, ...rest } = request;
    expect(assemble(rest).manifest).toBeUndefined();
  });

  test('starts from scratch, with no time where nothing has one', () => {
    const draft = {
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
      config: {},
      author: 'me',
      history: [{ createdBy: 'LABEL a=b' }],
    };
    const { imageConfig, manifest } = assemble({ draft, layers: [] });
    expect(imageConfig).toEqual({
      architecture: 'arm64',
      author: 'me',
      config: {},
      history: [{ created_by: 'LABEL a=b', comment: 'buildkit.dockerfile.v0', empty_layer: true }],
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [] },
    });
    expect(manifest).toBeDefined();
  });

  test('lets SOURCE_DATE_EPOCH be the time of all that is later', () => {
    const { imageConfig } = assemble({ ...request, created: '2024-01-01T00:00:00Z' });
    expect(imageConfig.created).toBe('2024-01-01T00:00:00Z');
    expect(new Set(imageConfig.history?.map(({ created }) => created))).toEqual(new Set(['2024-01-01T00:00:00Z']));
  });

  test('tells of the layers of a base that has no history', () => {
    const { history: _, ...silent } = base;
    const { imageConfig, config } = assemble({ ...request, draft: { ...request.draft, base: silent } });
    expect(imageConfig.history).toHaveLength(6);
    expect(() => parseConfig(config.content, { what: 'it', layers: 3 })).not.toThrow();
  });

  test.each([[[]], [[null, null, null, null]]])('refuses layers that do not match the steps', (layers) => {
    expect(() => assemble({ ...request, layers })).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }));
  });
});

describe('the chain id', () => {
  test('is the first diffId, then the digest of chain and diffId', () => {
    const [a, b, c] = [diff('a'), diff('b'), diff('c')] as const;
    expect(chainId([])).toBeUndefined();
    expect(chainId([a])).toBe(a);
    expect(chainId([a, b, c])).toBe(digestOf(`${digestOf(`${a} ${b}`)} ${c}`));
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EngineError } from '../../../engine/base/errors.ts';
import { parseConfig } from '../../../engine/image/config.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import { requireImage } from '../../../engine/image/image-manifest.ts';
import { parseGraphNode, parseManifest } from '../../../engine/image/manifest.ts';
import {
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from '../../../engine/image/media-type.ts';
import { runs } from '../../helpers/property.ts';

/** Documents that are nearly right: known keys with values of any kind. */
const nearly = fc.dictionary(
  fc.constantFrom(
    'schemaVersion',
    'mediaType',
    'config',
    'layers',
    'manifests',
    'subject',
    'Layers',
    'rootfs',
    'history',
    'os',
    '__proto__',
  ),
  fc.oneof(fc.constant(2), fc.constant(OCI_MANIFEST), fc.jsonValue({ maxDepth: 3 })),
);

test('whatever document comes, it is read or refused with a code', () => {
  fc.assert(
    fc.property(nearly, (document) => {
      for (const read of [() => parse(document), () => parseConfig(bytes(document), { what: 'it' })]) {
        try {
          read();
        } catch (error) {
          expect(error).toBeInstanceOf(EngineError);
        }
      }
    }),
    runs(500),
  );
});

const digest = digestOf('x');
const config = { mediaType: OCI_CONFIG, digest, size: 1 };
const layer = { mediaType: OCI_LAYER_GZIP, digest, size: 1 };
const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
const bytes = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const parse = (value: unknown, mediaType?: string) => parseGraphNode(bytes(value), { what: 'the manifest', mediaType });

function failure(act: () => unknown): { code: string; message: string } {
  try {
    act();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it should have failed');
}

describe('a manifest', () => {
  test('is read with its extras', () => {
    const annotated = {
      ...manifest,
      annotations: { __proto__x: 'y', 'a\n::error::': 'z' },
      subject: { ...config, mediaType: OCI_MANIFEST },
    };
    expect(parse(annotated)).toEqual({ kind: 'manifest', mediaType: OCI_MANIFEST, manifest: annotated });
  });

  test('of no layers, and one that lacks its media type, are fine', () => {
    const { mediaType: _, ...bare } = manifest;
    expect(parse({ ...bare, layers: [] }, OCI_MANIFEST)).toMatchObject({ kind: 'manifest', mediaType: OCI_MANIFEST });
    expect(parse({ ...manifest, mediaType: DOCKER_MANIFEST }, 'application/json').mediaType).toBe(DOCKER_MANIFEST);
  });

  test.each<[string, unknown, string | undefined, string, string]>([
    [
      'announced as another type',
      manifest,
      OCI_INDEX,
      'DOCUMENT_INVALID',
      `was announced as ${OCI_INDEX} and says that it is ${OCI_MANIFEST}`,
    ],
    [
      'of another shape',
      { ...manifest, mediaType: OCI_INDEX },
      undefined,
      'DOCUMENT_INVALID',
      `called ${OCI_INDEX} and looks like ${OCI_MANIFEST}`,
    ],
    [
      'without any type',
      { schemaVersion: 2, config, layers: [] },
      undefined,
      'DOCUMENT_INVALID',
      'names its media type',
    ],
    ['of both shapes', { ...manifest, manifests: [] }, undefined, 'DOCUMENT_INVALID', 'it is ambiguous'],
    [
      'of no shape',
      { schemaVersion: 2, mediaType: OCI_MANIFEST },
      undefined,
      'DOCUMENT_INVALID',
      'neither config and layers nor manifests',
    ],
    ['of schema 1', { schemaVersion: 1, fsLayers: [] }, undefined, 'MANIFEST_UNSUPPORTED', 'schema 1 is unsupported'],
    ['of schema 3', { ...manifest, schemaVersion: 3 }, undefined, 'DOCUMENT_INVALID', 'schemaVersion must be 2'],
    [
      'of a foreign type',
      { ...manifest, mediaType: 'application/vnd.cncf.helm.v1' },
      undefined,
      'MANIFEST_UNSUPPORTED',
      'no manifest or index',
    ],
    [
      'with Layers and layers',
      { ...manifest, Layers: [] },
      undefined,
      'DOCUMENT_INVALID',
      "the key 'Layers' is ambiguous",
    ],
    ['with a long s', { ...manifest, layerſ: [] }, undefined, 'DOCUMENT_INVALID', 'is ambiguous'],
    [
      'with Digest in a layer',
      { ...manifest, layers: [{ ...layer, Digest: digest }] },
      undefined,
      'DOCUMENT_INVALID',
      "the key 'Digest' is ambiguous",
    ],
    [
      'with a digest that climbs',
      { ...manifest, layers: [{ ...layer, digest: 'sha256:../../x' }] },
      undefined,
      'DIGEST_INVALID',
      'layers[0].digest of the manifest',
    ],
    [
      'with an md5 digest',
      { ...manifest, config: { ...config, digest: `md5:${'0'.repeat(32)}` } },
      undefined,
      'DIGEST_UNSUPPORTED',
      'config.digest',
    ],
    [
      'with an upper-case digest',
      { ...manifest, config: { ...config, digest: digest.toUpperCase() } },
      undefined,
      'DIGEST_INVALID',
      'config.digest',
    ],
    [
      'with 63 digits',
      { ...manifest, config: { ...config, digest: digest.slice(0, -1) } },
      undefined,
      'DIGEST_INVALID',
      'config.digest',
    ],
    [
      'with an empty digest',
      { ...manifest, config: { ...config, digest: '' } },
      undefined,
      'DIGEST_INVALID',
      'config.digest',
    ],
    [
      'with a sha512 digest',
      { ...manifest, config: { ...config, digest: `sha512:${'0'.repeat(128)}` } },
      undefined,
      'DIGEST_UNSUPPORTED',
      "isn't sha256",
    ],
    [
      'with a negative size',
      { ...manifest, config: { ...config, size: -1 } },
      undefined,
      'DOCUMENT_INVALID',
      'config.size is -1',
    ],
    [
      'with half a size',
      { ...manifest, config: { ...config, size: 1.5 } },
      undefined,
      'DOCUMENT_INVALID',
      'config.size is 1.5',
    ],
    [
      'with a size as text',
      { ...manifest, config: { ...config, size: '1' } },
      undefined,
      'DOCUMENT_INVALID',
      'config.size is "1"',
    ],
    [
      'of 10,000 layers',
      { ...manifest, layers: Array.from({ length: 10_000 }, () => layer) },
      undefined,
      'DOCUMENT_INVALID',
      'has 10000 entries, and at most 500',
    ],
    [
      'with other data than its digest',
      { ...manifest, config: { ...config, data: 'eQ==' } },
      undefined,
      'DOCUMENT_INVALID',
      "config.data isn't the content of",
    ],
    [
      'with data of another size',
      { ...manifest, config: { ...config, data: 'eHg=' } },
      undefined,
      'DOCUMENT_INVALID',
      'config.data has 2 bytes',
    ],
    ['that is null', null, undefined, 'DOCUMENT_INVALID', 'it is null, and must be an object'],
    ['that is a list', [], undefined, 'DOCUMENT_INVALID', 'it is a list'],
    ['that is cut', '{"schemaVersion":2', undefined, 'JSON_INVALID', 'Cannot read the manifest'],
  ])('%s is refused', (_, value, mediaType, code, state) => {
    const error = failure(() => parse(value, mediaType));
    expect(error.code).toBe(code);
    expect(error.message).toContain(state);
  });

  test('with data that is its content is fine', () => {
    expect(parse({ ...manifest, config: { ...config, data: 'eA==' } }).kind).toBe('manifest');
  });

  test('over 4 MiB is refused before it is read', () => {
    expect(failure(() => parse(' '.repeat(4 * 1024 * 1024 + 1)))).toMatchObject({ code: 'TOO_LARGE' });
  });

  test('of an image has an image config and layers that can be unpacked', () => {
    const read = (value: unknown) => requireImage(parseManifest(bytes(value), { what: 'x' }), 'nanoserver');
    expect(read(manifest).layers).toHaveLength(1);
    const foreign = { ...layer, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' };
    expect(failure(() => read({ ...manifest, layers: [layer, foreign] }))).toMatchObject({
      code: 'LAYER_UNSUPPORTED',
      message: expect.stringContaining('layer 2'),
    });
    expect(
      failure(() =>
        read({ ...manifest, config: { ...config, mediaType: 'application/vnd.cncf.helm.config.v1+json' } }),
      ),
    ).toMatchObject({ code: 'NOT_AN_IMAGE' });
    expect(failure(() => read({ ...manifest, config: { ...config, size: 5 << 20 } }))).toMatchObject({
      code: 'TOO_LARGE',
    });
  });
});

describe('a config', () => {
  const rootfs = { type: 'layers', diff_ids: [digest] };
  const good = { architecture: 'amd64', os: 'linux', rootfs };
  const read = (value: unknown, layers?: number) => parseConfig(bytes(value), { what: 'the config of x', layers });

  test('keeps what it does not know, and drops null', () => {
    const full = {
      ...good,
      docker_version: '24',
      config: { Cmd: null, Env: null, Hostname: 'h', Labels: { __proto__1: 'a', Layers: 'b', layers: 'c' } },
    };
    expect(read(full)).toEqual({
      ...good,
      docker_version: '24',
      config: { Hostname: 'h', Labels: { __proto__1: 'a', Layers: 'b', layers: 'c' } },
    });
  });

  test('gives odd environments on as they are', () => {
    const Env = ['NOEQUALS', 'A=1', 'A=2', 'LD_PRELOAD=/x', ''];
    expect(read({ ...good, config: { Env } }).config?.Env).toEqual(Env);
  });

  test.each<[unknown, number | undefined, string]>([
    [null, undefined, 'it is null'],
    [[], undefined, 'it is a list'],
    [{}, undefined, 'rootfs is missing'],
    [{ ...good, rootfs: { type: 'layers', diff_ids: ['x'] } }, undefined, 'rootfs.diff_ids[0]'],
    [{ ...good, rootfs: { type: 'squashfs', diff_ids: [] } }, undefined, "rootfs.type must be 'layers'"],
    [{ rootfs }, undefined, 'architecture is missing'],
    [good, 2, 'rootfs.diff_ids names 1 layers, and the manifest has 2'],
    [
      { ...good, history: [{ empty_layer: true }] },
      undefined,
      'history tells of 0 layers, and rootfs.diff_ids names 1',
    ],
    [{ ...good, config: { Env: 'A=1' } }, undefined, 'config.Env'],
    [{ ...good, config: { env: ['A=1'] } }, undefined, "the key 'env' is ambiguous"],
    [{ ...good, RootFS: rootfs }, undefined, "the key 'RootFS' is ambiguous"],
    [{ ...good, created: 'yesterday' }, undefined, "created 'yesterday' isn't a time"],
    [{ ...good, config: { Labels: { a: 1 } } }, undefined, 'config.Labels.a is 1, and must be a string'],
  ])('%.60j is refused, naming the field', (value, layers, state) => {
    expect(failure(() => read(value, layers)).message).toContain(state);
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf, encodedOf } from '../../../engine/image/digest.ts';
import { OCI_CONFIG, OCI_MANIFEST } from '../../../engine/image/media-type.ts';
import type { Digest, ImageConfig } from '../../../engine/image/types.ts';
import type { CacheRecord, Store } from '../../../engine/store/index.ts';
import { openTestStore, withHelper, type TestStore } from '../../helpers/store.ts';

let opened: TestStore;
let store: Store;
beforeEach(async () => {
  opened = await openTestStore();
  ({ store } = opened);
});
afterEach(async () => {
  await opened.remove();
});

const layer = digestOf('layer');
const record: CacheRecord = {
  v: 1,
  key: digestOf('key'),
  op: { type: 'exec' },
  diffId: layer,
  base: null,
  createdAt: '2024-01-01T00:00:00.000Z',
  isolation: 'root',
};

async function putImage(name: string, layers: readonly Digest[] = []): Promise<Digest> {
  const config: ImageConfig = {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { name } },
    rootfs: { type: 'layers', diff_ids: layers },
  };
  const { digest } = await store.content.write(OCI_CONFIG, Buffer.from(JSON.stringify(config)));
  await store.images.put({ id: digest, names: [`docker.io/library/${name}:latest`] });
  return digest;
}

withHelper(
  'cache records',
  () => {
    test('come back as they were put', async () => {
      await store.records.put(record);
      expect(await store.records.get(record.key)).toEqual(record);
      expect(await store.records.list()).toEqual([record]);
    });

    test.each([
      ['no JSON', '{'],
      ['another shape', '{"v":1}'],
      ['another key', JSON.stringify({ ...record, key: digestOf('other') })],
      ['a time that is none', JSON.stringify({ ...record, createdAt: 'yesterday' })],
    ])('with %s are a miss and a warning', async (_what, text) => {
      await writeFile(join(opened.root, 'records/cache', `${encodedOf(digestOf('key'))}.json`), text);
      expect(await store.records.get(record.key)).toBeUndefined();
      expect(opened.warnings).toHaveLength(1);
    });
  },
  describe,
);

withHelper(
  'layer records',
  () => {
    test('merge forms and places, each once', async () => {
      const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digestOf('blob'), size: 4 };
      await store.layers.add(layer, { blobs: [blob], sources: { [blob.digest]: ['docker.io/library/python'] } });
      await store.layers.add(layer, {
        blobs: [{ ...blob, annotations: { a: 'b' } }],
        snapshots: [{ idMap: 'root', name: 'x' }],
      });
      await store.layers.add(layer, {
        size: 10,
        sources: { [blob.digest]: ['ghcr.io/me/app', 'docker.io/library/python'] },
      });
      expect(await store.layers.get(layer)).toEqual({
        v: 1,
        diffId: layer,
        size: 10,
        blobs: [blob],
        snapshots: [{ idMap: 'root', name: 'x' }],
        sources: { [blob.digest]: ['docker.io/library/python', 'ghcr.io/me/app'] },
      });
    });

    test('lose no form when two engines add to one at the same time', async () => {
      const other = await opened.again();
      const names = Array.from({ length: 20 }, (_, at) => `snapshot-${at}`);
      await Promise.all(
        names.map((name, at) =>
          (at % 2 ? store : other.store).layers.add(layer, { snapshots: [{ idMap: 'root', name }] }),
        ),
      );
      const found = await store.layers.get(layer);
      expect(new Set(found?.snapshots.map(({ name }) => name))).toEqual(new Set(names));
      await other.store.close();
    });

    test('that cannot be read are absent, with a warning', async () => {
      await writeFile(join(opened.root, 'records/layers', `${encodedOf(layer)}.json`), '{"v":1,"diffId":"x"}');
      expect(await store.layers.get(layer)).toBeUndefined();
      expect(opened.warnings[0]).toContain(layer);
    });
  },
  describe,
);

withHelper(
  'images',
  () => {
    test('are found by name, short name, id, digest and prefix', async () => {
      const id = await putImage('model');
      for (const text of [
        'docker.io/library/model:latest',
        'model',
        'model:latest',
        id,
        encodedOf(id),
        encodedOf(id).slice(0, 12),
      ]) {
        expect((await store.images.resolve(text)).id).toBe(id);
      }
    });

    test('that are not there are an error with the next thing to type', async () => {
      await expect(store.images.resolve('model')).rejects.toMatchObject({
        code: 'IMAGE_NOT_FOUND',
        message: expect.stringContaining('model'),
      });
      expect(await store.images.find('model')).toBeUndefined();
    });

    test('that a prefix leaves open are an error with the choices', async () => {
      const ids = await Promise.all(Array.from({ length: 17 }, (_, at) => putImage(`model-${at}`)));
      const first = (id: string): string => encodedOf(id as Digest).slice(0, 1);
      const doubled = ids.find((id) => ids.filter((other) => first(other) === first(id)).length > 1) ?? '';
      await expect(store.images.resolve(first(doubled))).rejects.toMatchObject({ code: 'AMBIGUOUS' });
    });

    test('move a name to the image that gets it last', async () => {
      const old = await putImage('model');
      const fresh = await putImage('other');
      await store.images.tag(fresh, 'docker.io/library/model:latest');
      expect((await store.images.resolve('model')).id).toBe(fresh);
      expect((await store.images.resolve(old)).names).toEqual([]);
    });

    test('lose no name when two engines give names at the same time', async () => {
      const id = await putImage('model');
      const other = await opened.again();
      const names = Array.from({ length: 12 }, (_, at) => `docker.io/library/model:${at}`);
      await Promise.all(names.map((name, at) => (at % 2 ? store : other.store).images.tag(id, name)));
      expect((await store.images.resolve(id)).names).toHaveLength(13);
      await other.store.close();
    });

    test('are in index.json only when every blob is here', async () => {
      const index = async (): Promise<unknown[]> => {
        const { manifests } = JSON.parse(await readFile(join(opened.root, 'index.json'), 'utf8')) as {
          manifests: unknown[];
        };
        return manifests;
      };
      const id = await putImage('model');
      expect(await index()).toEqual([]);
      const size = (await store.content.read(id)).length;
      const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf('blob'), size: 4 };
      const manifest = {
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: { mediaType: OCI_CONFIG, digest: id, size },
        layers: [blob],
      };
      const descriptor = await store.content.write(OCI_MANIFEST, Buffer.from(JSON.stringify(manifest)));
      await store.images.put({ id, manifest: descriptor });
      expect(await index()).toEqual([]);
      await store.content.write(blob.mediaType, Buffer.from('blob'));
      await store.images.put({ id });
      expect(await index()).toEqual([
        {
          ...descriptor,
          platform: { architecture: 'amd64', os: 'linux' },
          annotations: {
            'org.opencontainers.image.ref.name': 'docker.io/library/model:latest',
            'io.containerd.image.name': 'docker.io/library/model:latest',
          },
        },
      ]);
    });

    test('keep the last state of the names beside the present one', async () => {
      await putImage('model');
      await putImage('other');
      const files = await readdir(join(opened.root, 'images'));
      expect(files).toEqual(expect.arrayContaining(['names.json', 'names.json.bak']));
      expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    });

    test('with names that cannot be read are an error that names the backup', async () => {
      await putImage('model');
      await writeFile(join(opened.root, 'images/names.json'), '{');
      await expect(store.images.list()).rejects.toMatchObject({
        code: 'STORE_CORRUPT',
        hint: expect.stringContaining('.bak'),
      });
    });
  },
  describe,
);

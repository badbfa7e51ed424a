import { describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import type { ProgressEvent } from '../../../engine/base/progress.ts';
import { copyGraph } from '../../../engine/image/copy.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import { parseManifest } from '../../../engine/image/manifest.ts';
import { isGraphType, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST } from '../../../engine/image/media-type.ts';
import type { Descriptor, Storage } from '../../../engine/image/types.ts';
import { validateImage } from '../../../engine/image/validate.ts';
import { createMemoryStorage, type MemoryStorage } from '../../helpers/memory-registry.ts';
import { addIndex, addSampleImage } from '../../helpers/sample-image.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };

/** Remembers in which order content came. */
function recording(target: MemoryStorage): Storage & { readonly order: Descriptor[] } {
  const order: Descriptor[] = [];
  return {
    ...target,
    order,
    push: async (descriptor, source, options) => {
      const outcome = await target.push(descriptor, source, options);
      order.push(descriptor);
      return outcome;
    },
  };
}

describe('copyGraph', () => {
  test('copies blobs first, then each manifest, the root last', async () => {
    const source = createMemoryStorage();
    const [one, two] = [addSampleImage(source), addSampleImage(source)];
    const index = addIndex(source, [
      [one, AMD64],
      [two, { os: 'linux', architecture: 'arm64' }],
    ]);
    const target = recording(createMemoryStorage());
    const result = await copyGraph(source, target, index);
    expect(result).toMatchObject({ uploaded: { blobs: 6 }, existed: 0, mounted: 0 });
    const at = (digest: string) => target.order.findIndex((each) => each.digest === digest);
    for (const image of [one, two]) {
      const { config, layers } = parseManifest(source.contents.get(image.digest) ?? Buffer.alloc(0), { what: 'it' });
      for (const child of [config, ...layers]) expect(at(child.digest)).toBeLessThan(at(image.digest));
    }
    expect(target.order.at(-1)).toEqual(index);
    expect(await validateImage(target, index)).toHaveLength(2);
  });

  test('reads nothing that the target has, and copies shared content once', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const index = addIndex(source, [
      [root, AMD64],
      [root, { os: 'linux', architecture: '386' }],
    ]);
    const target = recording(createMemoryStorage());
    await copyGraph(source, target, index);
    expect(target.order.filter(({ mediaType }) => !isGraphType(mediaType))).toHaveLength(3);
    const again = await copyGraph(source, target, index);
    expect(again).toEqual({ uploaded: { blobs: 0, bytes: 0 }, existed: 3, mounted: 0 });
  });

  test('fills in a layer that is missing under a manifest that is there', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const target = createMemoryStorage();
    await copyGraph(source, target, root);
    const { layers } = parseManifest(source.contents.get(root.digest) ?? Buffer.alloc(0), { what: 'it' });
    target.contents.delete(layers[0]?.digest ?? root.digest);
    expect(await copyGraph(source, target, root)).toMatchObject({ uploaded: { blobs: 1 }, existed: 2 });
    await validateImage(target, root);
  });

  test('writes no manifest over a blob that failed, and ends the other transfers', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source, { sizes: [10, 20, 30] });
    const { layers } = parseManifest(source.contents.get(root.digest) ?? Buffer.alloc(0), { what: 'it' });
    source.contents.delete(layers[1]?.digest ?? root.digest);
    const target = createMemoryStorage();
    await expect(copyGraph(source, target, root, { concurrency: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(target.contents.has(root.digest)).toBe(false);
    expect(target.contents.has(layers[2]?.digest ?? root.digest)).toBe(false);
  });

  test('tells of each blob until it is complete', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const events: ProgressEvent[] = [];
    await copyGraph(source, createMemoryStorage(), root, { onEvent: (event) => events.push(event), vertex: 'push' });
    const ends = events.filter((event) => event.type === 'status' && event.completed !== undefined);
    expect(ends).toHaveLength(3);
    for (const end of ends) expect(end).toMatchObject({ vertex: 'push', current: (end as { total: number }).total });
  });

  test('says of a blob that is there already that nothing moved', async () => {
    const source = createMemoryStorage();
    const target = createMemoryStorage();
    const root = addSampleImage(source);
    await copyGraph(source, target, root);
    const events: ProgressEvent[] = [];
    await copyGraph(source, target, root, { onEvent: (event) => events.push(event), vertex: 'push' });
    expect(events.map((event) => event.type === 'status' && event.spared)).toEqual(['exists', 'exists', 'exists']);
  });

  test('ends with the reason of its signal', async () => {
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const reason = new Error('stop');
    await expect(copyGraph(source, createMemoryStorage(), root, { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
  });

  test('does not go down for ever', async () => {
    const source = createMemoryStorage();
    let root = addSampleImage(source);
    for (let i = 0; i < 8; i += 1) root = addIndex(source, [[root, AMD64]]);
    await expect(copyGraph(source, createMemoryStorage(), root)).rejects.toThrow('nested more than 4 deep');
  });
});

describe('validateImage', () => {
  const build = (storage: MemoryStorage, layer: Descriptor, diffId: string): Descriptor => {
    const config = storage.add(
      OCI_CONFIG,
      JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [diffId] } }),
    );
    return storage.add(
      OCI_MANIFEST,
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] }),
    );
  };

  test('inflates each layer and compares its diffId', async () => {
    const storage = createMemoryStorage();
    const layer = storage.add(OCI_LAYER_GZIP, gzipSync('tar'));
    expect(await validateImage(storage, build(storage, layer, digestOf('tar')))).toHaveLength(1);
    await expect(validateImage(storage, build(storage, layer, digestOf('other')))).rejects.toThrow('its diffId is');
  });

  test('finds bytes that are missing, changed or no gzip', async () => {
    const storage = createMemoryStorage();
    const layer = storage.add(OCI_LAYER_GZIP, gzipSync('tar'));
    const root = build(storage, layer, digestOf('tar'));
    storage.contents.set(layer.digest, Buffer.from('other'));
    await expect(validateImage(storage, root)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    storage.contents.delete(layer.digest);
    await expect(validateImage(storage, root)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const plain = storage.add(OCI_LAYER_GZIP, 'tar');
    await expect(validateImage(storage, build(storage, plain, digestOf('tar')))).rejects.toThrow(/incorrect header/);
  });
});

import { expect, test } from '@jest/globals';
import { imageFor } from '../../engine/image-for.ts';
import { digestOf } from '../../engine/image/digest.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../engine/image/media-type.ts';
import type { Descriptor } from '../../engine/image/types.ts';
import type { StoredImage } from '../../engine/store/index.ts';

const descriptor = (text: string, mediaType = OCI_MANIFEST): Descriptor => ({
  mediaType,
  digest: digestOf(Buffer.from(text)),
  size: text.length,
});

test('an image of an index has the manifest that the index names, not the one that it was packed into since', async () => {
  const platform = { os: 'linux', architecture: 'arm64' };
  const id = digestOf(Buffer.from('config'));
  const members = [{ id, manifest: descriptor('of the index'), platform }];
  const image: StoredImage = {
    id,
    config: { ...platform, rootfs: { type: 'layers', diff_ids: [] } },
    manifest: descriptor('packed again'),
    names: [],
    repoDigests: [],
    size: 0,
    index: { descriptor: descriptor('index', OCI_INDEX), members, names: ['docker.io/library/app:1'] },
  };
  const images = { resolve: () => Promise.resolve(image), findFor: () => Promise.resolve(image) };
  const found = await imageFor(images, 'app:1', { platform, act: 'push' });
  expect(found.manifest).toEqual(descriptor('of the index'));
  expect(found.index).toBeUndefined();
});

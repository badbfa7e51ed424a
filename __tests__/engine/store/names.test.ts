import { afterEach, beforeEach, expect, describe, test } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assembleConfig, assembleIndex, assembleManifest } from '../../../engine/image/assemble.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import type { ImageConfig } from '../../../engine/image/types.ts';
import type { Parts } from '../../../engine/connect.ts';
import { renewIndex } from '../../../engine/image-index.ts';
import { removeImage } from '../../../engine/images.ts';
import { fsck, prune, type IndexMember } from '../../../engine/store/index.ts';
import { openTestStore, withHelper, type TestStore } from '../../helpers/store.ts';

const [BASE, APP] = ['reg.example/org/base:1', 'reg.example/org/app:1'];

let all: TestStore;
let seven: TestStore;
let eight: TestStore;
beforeEach(async () => {
  all = await openTestStore();
  [seven, eight] = [await openTestStore(all.root, 'pull 7'), await openTestStore(all.root, 'pull 8')];
});
afterEach(async () => {
  for (const { store } of [seven, eight]) await store.close();
  await all.remove();
});

async function put({ store }: TestStore, label: string, ...names: readonly string[]): Promise<IndexMember> {
  const platform = { os: 'linux', architecture: 'amd64' };
  const value: ImageConfig = { ...platform, config: { Labels: { label } }, rootfs: { type: 'layers', diff_ids: [] } };
  const config = assembleConfig(value);
  const manifest = assembleManifest(config.descriptor, []);
  for (const { descriptor, content } of [config, manifest]) await store.content.write(descriptor.mediaType, content);
  await store.images.put({ id: config.descriptor.digest, manifest: manifest.descriptor, names });
  return { id: config.descriptor.digest, manifest: manifest.descriptor, platform };
}

const found = async ({ store }: TestStore, name: string): Promise<string | undefined> =>
  (await store.images.find(name))?.id;
const remove = ({ store }: TestStore, what: string, cacheScope?: string, force = false): Promise<readonly string[]> =>
  // Type: a removal looks at these alone, and no container is asked for.
  removeImage({ store, options: { cacheScope } } as Parts, { list: () => Promise.resolve([]) }, what, { force });

withHelper('names of images', tests, describe);
function tests(): void {
  test('of a scope are seen in it alone, before those of all', async () => {
    const theirs = await put(seven, 'theirs', BASE);
    expect(await found(seven, BASE)).toBe(theirs.id);
    for (const one of [all, eight]) expect(await found(one, BASE)).toBeUndefined();
    const ours = await put(all, 'ours', BASE);
    expect(await found(all, BASE)).toBe(ours.id);
    expect(await found(eight, BASE)).toBe(ours.id);
    expect(await found(seven, BASE)).toBe(theirs.id);
    await eight.store.images.tag(theirs.id, APP);
    expect(await found(all, APP)).toBeUndefined();
    // Other programs read what all have.
    const index = await readFile(join(all.root, 'index.json'), 'utf8');
    expect(index).toContain(ours.manifest.digest);
    expect(index).not.toContain(theirs.manifest.digest);
    expect(index.match(/"org.opencontainers.image.ref.name":"[^"]*"/g)).toHaveLength(1);
  });

  test('of a scope go by it, and no name of all does', async () => {
    const ours = await put(all, 'ours', BASE);
    const theirs = await put(seven, 'theirs', BASE);
    expect(await remove(seven, BASE, 'pull 7')).toContain(`Deleted: ${theirs.id}`);
    expect(await found(seven, BASE)).toBe(ours.id);
    for (const [what, force] of [[BASE, false] as const, [ours.id, true] as const])
      await expect(remove(seven, what, 'pull 7', force)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    expect(await found(all, BASE)).toBe(ours.id);
  });

  test('of others keep an image, until somebody forces it out', async () => {
    const { id } = await put(all, 'ours', BASE);
    await seven.store.images.tag(id, APP);
    expect(await remove(all, BASE)).toEqual([`Untagged: ${BASE}`]);
    await expect(remove(all, id)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    expect(await found(seven, APP)).toBe(id);
    expect(await remove(all, id, undefined, true)).toContain(`Deleted: ${id}`);
    expect(await found(seven, APP)).toBeUndefined();
  });

  test.each([undefined, 'pull 8'])(
    'of whatever scope keep an image from a prune in %s, and go in one of all',
    async () => {
      const { id } = await put(seven, 'theirs', BASE);
      const member = await put(seven, 'part');
      const { descriptor, content } = assembleIndex([member]);
      await seven.store.content.write(descriptor.mediaType, content);
      await seven.store.images.putIndex({ descriptor, members: [member], names: [APP] });
      for (const { store, helper } of [all, eight]) await prune(store, helper, { all: false, used: [] });
      expect(await found(seven, BASE)).toBe(id);
      expect((await seven.store.images.resolve(APP)).index?.descriptor.digest).toBe(descriptor.digest);
      expect(await found(eight, APP)).toBeUndefined();
      await prune(all.store, all.helper, { all: true, used: [] });
      expect(await seven.store.images.list()).toEqual([]);
      expect(JSON.parse(await readFile(join(all.root, 'images/names.json'), 'utf8'))).toEqual({ v: 1, names: {} });
    },
  );

  test('of others stay with an index of which a scope has to make another', async () => {
    const [one, two] = [await put(all, 'one'), await put(seven, 'two')];
    const { descriptor, content } = assembleIndex([one]);
    await all.store.content.write(descriptor.mediaType, content);
    await all.store.images.putIndex({ descriptor, members: [one], names: [APP] });
    const { index } = await seven.store.images.resolve(APP);
    if (!index) throw new Error('the name stands for an index');
    const { descriptor: made } = await renewIndex(seven, index, [two], {});
    const digestFor = async ({ store }: TestStore): Promise<string | undefined> =>
      (await store.images.resolve(APP)).index?.descriptor.digest;
    expect(await Promise.all([all, eight, seven].map(digestFor))).toEqual([
      descriptor.digest,
      descriptor.digest,
      made.digest,
    ]);
    await renewIndex(all, index, [two], {});
    expect(await digestFor(all)).toBe(made.digest);
    expect((await all.store.images.indexes()).map((known) => known.descriptor.digest)).toEqual([made.digest]);
  });

  test('that lead nowhere are found and repaired in every scope', async () => {
    await put(all, 'ours', BASE);
    const path = join(all.root, 'images/names.json');
    const file = JSON.parse(await readFile(path, 'utf8')) as Readonly<Record<string, unknown>>;
    await writeFile(path, JSON.stringify({ ...file, scopes: { 'pull 7': { [APP]: digestOf('nothing') } } }));
    const { problems } = await fsck(all.store, all.helper, { repair: true });
    expect(problems).toEqual([expect.stringMatching(/name .*app:1 of the scope pull 7 leads to sha256:/)]);
    expect((await fsck(all.store, all.helper, { repair: false })).problems).toEqual([]);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(file);
  });

  test.each([{ scopes: [] }, { scopes: { a: 1 } }, { scopes: { a: { b: 'c' } } }])(
    'in a file with %j are an error that names it',
    async (more) => {
      await writeFile(join(all.root, 'images/names.json'), JSON.stringify({ v: 1, names: {}, ...more }));
      await expect(all.store.images.list()).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    },
  );
}

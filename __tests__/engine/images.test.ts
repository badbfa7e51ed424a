import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Parts } from '../../engine/connect.ts';
import type { Containers, ContainerSummary } from '../../engine/engine.ts';
import { assembleConfig, assembleIndex, assembleManifest } from '../../engine/image/assemble.ts';
import type { ImageConfig } from '../../engine/image/types.ts';
import { removeImage } from '../../engine/images.ts';
import type { IndexMember } from '../../engine/store/index.ts';
import { openTestStore, withHelper, type TestStore } from '../helpers/store.ts';

let it: TestStore;
beforeEach(async () => {
  it = await openTestStore();
});
afterEach(() => it.remove());

const nothing: Pick<Containers, 'list'> = { list: () => Promise.resolve([]) };
const remove = (name: string, force = false, containers = nothing): Promise<readonly string[]> =>
  // Type: a removal looks at the store alone.
  removeImage({ store: it.store } as Parts, containers, name, { force });

/** An image without layers, in the store. */
async function put(architecture: string, names: readonly string[] = []): Promise<IndexMember> {
  const platform = { os: 'linux', architecture };
  const value: ImageConfig = { ...platform, rootfs: { type: 'layers', diff_ids: [] } };
  const config = assembleConfig(value);
  const manifest = assembleManifest(config.descriptor, []);
  for (const { descriptor, content } of [config, manifest]) await it.store.content.write(descriptor.mediaType, content);
  const id = config.descriptor.digest;
  await it.store.images.put({ id, manifest: manifest.descriptor, names });
  return { id, manifest: manifest.descriptor, platform };
}

/** As Docker says it. */
function short(name: string): string {
  return name.replace('docker.io/library/', '');
}

async function putBoth(...names: readonly string[]): Promise<{ amd: IndexMember; arm: IndexMember; digest: string }> {
  const [amd, arm] = [await put('amd64'), await put('arm64')];
  const { descriptor, content } = assembleIndex([amd, arm]);
  await it.store.content.write(descriptor.mediaType, content);
  await it.store.images.putIndex({ descriptor, members: [amd, arm], names });
  return { amd, arm, digest: descriptor.digest };
}

withHelper('rmi beside an image for several platforms', tests, describe);
function tests(): void {
  const [ONE, TWO, ARM] = ['docker.io/library/app:1', 'docker.io/library/app:2', 'docker.io/library/app:arm'];

  test("takes one image's own name away, and leaves the whole as it is", async () => {
    const { arm, digest } = await putBoth(ONE);
    await it.store.images.put({ id: arm.id, names: [ARM] });
    expect(await remove('app:arm')).toEqual([`Untagged: ${short(ARM)}`]);
    expect((await it.store.images.indexes()).map(({ descriptor }) => descriptor.digest)).toEqual([digest]);
    expect((await it.store.images.resolve('app:1')).index?.members).toHaveLength(2);
  });

  test('refuses one image by its id, naming the whole, and takes all away by force', async () => {
    const { amd, arm, digest } = await putBoth(ONE);
    await it.store.images.put({ id: arm.id, names: [ARM] });
    for (const { id } of [amd, arm])
      await expect(remove(id)).rejects.toMatchObject({
        code: 'IMAGE_IN_USE',
        message: expect.stringContaining(ONE) as unknown,
      });
    expect(await remove(arm.id, true)).toEqual([
      `Untagged: ${short(ONE)}`,
      `Deleted: ${digest}`,
      `Deleted: ${amd.id}`,
      `Untagged: ${short(ARM)}`,
      `Deleted: ${arm.id}`,
    ]);
    expect(await it.store.images.list()).toEqual([]);
  });

  test('asks of every image whether a container uses it before anything goes', async () => {
    const { amd, arm, digest } = await putBoth(ONE);
    // Type: of a container that is all that is asked.
    const used = [{ imageId: amd.id, status: 'running', name: 'web' }] as unknown as ContainerSummary[];
    const containers = { list: () => Promise.resolve(used) };
    for (const one of [arm.id, digest])
      await expect(remove(one, true, containers)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    expect(await it.store.images.indexes()).toHaveLength(1);
  });

  test('refuses by its digest a whole with several names', async () => {
    const { digest } = await putBoth(ONE, TWO);
    await expect(remove(digest)).rejects.toMatchObject({
      code: 'IMAGE_IN_USE',
      hint: 'Remove it by name, or with --force',
    });
    expect((await remove(digest, true)).slice(0, 3)).toEqual([
      `Untagged: ${short(ONE)}`,
      `Untagged: ${short(TWO)}`,
      `Deleted: ${digest}`,
    ]);
  });

  test('takes an image with an index that has no name, and says so', async () => {
    const { amd, arm, digest } = await putBoth();
    expect(await remove(arm.id)).toEqual([`Deleted: ${digest}`, `Deleted: ${arm.id}`]);
    expect((await it.store.images.list()).map(({ id }) => id)).toEqual([amd.id]);
  });
}

import type { ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import type { ImageFiles, LookedFile } from './engine.ts';
import { withStore } from './leftovers.ts';
import { createReadAccounts, lookupUser } from './runtime/index.ts';

/** Bytes that may be held of one file. */
const MAX_FILE = 1024 * 1024 * 1024;

/** Lends the files of an image to `use`: its layers are unpacked where they are not yet, kept while it runs, and nothing is mounted or started. */
export async function readImageFiles<T>(
  parts: Parts,
  nameOrId: string,
  use: (files: ImageFiles) => Promise<T>,
  options: ActOptions = {},
): Promise<T> {
  return await withStore(parts, options, async () => {
    const { config } = await parts.store.images.resolve(nameOrId);
    const snapshots = await (await parts.snapshots(options)).ensure(config.rootfs.diff_ids, options);
    return await use(await createImageFiles(parts, snapshots, options));
  });
}

async function createImageFiles(
  parts: Parts,
  snapshots: readonly string[],
  { signal }: ActOptions,
): Promise<ImageFiles> {
  const { helper } = await parts.machine();
  const accounts = createReadAccounts(helper);
  return {
    look: async (paths, { follow = false, list = false } = {}) => {
      // From scratch: there is no file system to look at.
      if (paths.length === 0 || snapshots.length === 0) return paths.map(() => undefined);
      const args = { snapshots: [...snapshots], paths: [...paths], follow, list };
      const { found } = await helper.call('look', args, { signal });
      return found.map((one): LookedFile | undefined =>
        one === null ? undefined : { ...one, target: one.target ?? undefined, names: one.names ?? undefined },
      );
    },
    read: async (path, { maxBytes, prefix = false }) => {
      const chunks: Uint8Array[] = [];
      const args = { snapshots: [...snapshots], path, maxBytes: Math.min(maxBytes, MAX_FILE), prefix };
      await helper.call('read-file', args, { signal, onData: (chunk) => void chunks.push(chunk) });
      return Buffer.concat(chunks);
    },
    user: async (user) => {
      const { uid, gid, additionalGids } = lookupUser(user, await accounts(snapshots, { signal }));
      return { uid, gid, additionalGids };
    },
  };
}

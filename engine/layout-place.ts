import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blobName } from './archive/layout.ts';
import { EngineError } from './base/errors.ts';
import { makeFolders } from './base/folders.ts';
import { verify } from './base/verify.ts';
import { CACHE_PLACE } from './cache/index.ts';
import { OCI_INDEX } from './image/media-type.ts';
import type { Descriptor, Fetcher, Storage } from './image/types.ts';
import { storeError } from './store/index.ts';

const PREFIX = 'layout:';

/** The place in a layer's sources that stands for an OCI layout in a folder of this machine. No repository is named so. */
export function layoutPlace(folder: string): string {
  return `${PREFIX}${folder}`;
}

/** The folder of such a place. */
export function folderOfPlace(place: string): string | undefined {
  return place.startsWith(PREFIX) ? place.slice(PREFIX.length) : undefined;
}

/** True for a place that is `registry/repository`, which alone can be mounted from. */
export function isRepositoryPlace(place: string): boolean {
  return place !== CACHE_PLACE && !place.startsWith(PREFIX);
}

/** Reads blobs of a layout, verified. */
export function layoutFetcher(folder: string): Fetcher {
  return {
    fetch: async function* (descriptor) {
      const path = join(folder, blobName(descriptor.digest));
      if (!(await sizeOf(path))) throw new EngineError('NOT_FOUND', `Cannot read ${path}: there is no such file`);
      yield* verify(createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>, descriptor);
    },
  };
}

/** Writes blobs of a layout; `finish` names its one root, at last. */
export interface LayoutStorage extends Storage {
  finish(root: Descriptor): Promise<void>;
}

/** A layout in a folder, which is made where it is missing. */
export async function createLayoutStorage(folder: string): Promise<LayoutStorage> {
  const guarded = async <T>(path: string, act: () => Promise<T>): Promise<T> =>
    act().catch((error: unknown) => {
      throw storeError('write', path, error);
    });
  await guarded(folder, () => makeFolders(join(folder, 'blobs/sha256')));
  const exists: Storage['exists'] = async ({ digest, size }) => (await sizeOf(join(folder, blobName(digest)))) === size;
  return {
    ...layoutFetcher(folder),
    exists,
    tag: async () => undefined,
    push: async (descriptor, source) => {
      if (await exists(descriptor)) return 'exists';
      const path = join(folder, blobName(descriptor.digest));
      await guarded(path, () => writeAside(path, verify(source(), descriptor)));
      return 'pushed';
    },
    finish: async (root) => {
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [root] };
      for (const [name, value] of Object.entries({
        'oci-layout': { imageLayoutVersion: '1.0.0' },
        'index.json': index,
      })) {
        const path = join(folder, name);
        const part = `${path}.part-${randomBytes(8).toString('hex')}`;
        await guarded(path, async () => {
          await writeFile(part, JSON.stringify(value), { flag: 'wx' });
          await rename(part, path);
        });
      }
    },
  };
}

async function writeAside(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const part = `${path}.part-${randomBytes(8).toString('hex')}`;
  const file = await open(part, 'wx', 0o644);
  try {
    for await (const chunk of content) {
      for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
    }
    await file.close();
    await rename(part, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}

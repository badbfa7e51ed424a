import { randomBytes } from 'node:crypto';
import { copyFile, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { blobName, layoutFiles, type LayoutFormat, type LayoutImage, type LayoutIndex } from './archive/layout.ts';
import { makeFolders } from './base/folders.ts';
import type { ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import { parseIndex } from './image/manifest.ts';
import { OCI_INDEX } from './image/media-type.ts';
import type { Descriptor, Index } from './image/types.ts';
import { archiveOf } from './save.ts';
import { storeError } from './store/index.ts';

/** Where bytes go: a file of the host, or whoever takes them. */
export type Target =
  | { readonly dest: string; readonly write?: undefined }
  | { readonly dest?: undefined; readonly write: (chunk: Uint8Array) => void | Promise<void> };

/** Lets `act` write; a file appears under its name when it is complete. @throws `STORE_IO`, `STORE_NO_SPACE` naming the path */
export async function withTarget(
  target: Target,
  act: (write: (chunk: Uint8Array) => void | Promise<void>) => Promise<void>,
): Promise<void> {
  if (target.dest === undefined) return await act(target.write);
  const { dest } = target;
  const isSpecial = await stat(dest).then(
    (found) => !found.isFile() && !found.isDirectory(),
    () => false,
  );
  const path = isSpecial ? dest : `${dest}.part-${randomBytes(8).toString('hex')}`;
  const failed = (error: unknown): never => {
    throw storeError('write', dest, error);
  };
  if (!isSpecial) await makeFolders(dirname(dest)).catch(failed);
  const file = await open(path, isSpecial ? 'w' : 'wx', 0o644).catch(failed);
  try {
    await act(async (chunk) => {
      for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at).catch(failed)).bytesWritten;
    });
    await file.close();
    if (!isSpecial) await rename(path, dest).catch(failed);
  } catch (error) {
    await file.close().catch(() => undefined);
    if (!isSpecial) await rm(path, { force: true });
    throw error;
  }
}

/** An archive of the image, streamed. */
export async function writeArchive(
  parts: Parts,
  image: LayoutImage | LayoutIndex,
  format: LayoutFormat,
  target: Target,
  options: ActOptions,
): Promise<void> {
  await withTarget(target, async (write) => {
    for await (const chunk of archiveOf(parts, [image], format, options)) await write(chunk);
  });
}

/** An OCI layout in a folder. Images that are there already stay; one with the same name gives it up. */
export async function writeLayoutFolder(
  { store }: Parts,
  image: LayoutImage | LayoutIndex,
  format: LayoutFormat,
  dest: string,
): Promise<void> {
  const { files, blobs } = layoutFiles([image], format);
  const before = await readIndex(join(dest, 'index.json'));
  try {
    await makeFolders(join(dest, 'blobs/sha256'));
    for (const { digest } of blobs)
      await copyInto(join(store.root, store.content.pathOf(digest)), join(dest, blobName(digest)));
    for (const [name, content] of Object.entries(files)) {
      await replace(join(dest, name), name === 'index.json' ? merged(before, content) : content);
    }
  } catch (error) {
    throw storeError('write', dest, error);
  }
}

async function copyInto(from: string, to: string): Promise<void> {
  const part = `${to}.part-${randomBytes(8).toString('hex')}`;
  await copyFile(from, part);
  await rename(part, to);
}

async function replace(path: string, content: Buffer): Promise<void> {
  const part = `${path}.part-${randomBytes(8).toString('hex')}`;
  await writeFile(part, content, { flag: 'wx' });
  await rename(part, path);
}

/** The index of a layout that is there; what is none is an error, not something to overwrite. */
async function readIndex(path: string): Promise<Index | undefined> {
  const content = await readFile(path).catch(() => undefined);
  return content && parseIndex(content, { what: path, mediaType: OCI_INDEX });
}

const REF = 'org.opencontainers.image.ref.name';

function merged(before: Index | undefined, content: Buffer): Buffer {
  if (!before) return content;
  const now = JSON.parse(content.toString('utf8')) as Index;
  const refs = new Set(now.manifests.map(({ annotations }) => annotations?.[REF]));
  const isReplaced = ({ annotations, digest }: Descriptor): boolean =>
    (annotations?.[REF] !== undefined && refs.has(annotations[REF])) ||
    now.manifests.some((entry) => entry.digest === digest && entry.annotations?.[REF] === annotations?.[REF]);
  const manifests = [...before.manifests.filter((entry) => !isReplaced(entry)), ...now.manifests];
  return Buffer.from(JSON.stringify({ ...now, manifests }));
}

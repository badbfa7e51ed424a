import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack } from 'tar-stream';
import { EngineError } from '../../engine/index.ts';

const BLOB = /^blobs\/sha256\/[0-9a-f]{64}$/;
const HEX = /^[0-9a-f]{64}$/;

/** An OCI image layout folder as the archive that the engine loads. Links and files that belong to no layout are left out. */
export async function* readLayout(folder: string): AsyncGenerator<Uint8Array, void, undefined> {
  const names = (await readdir(join(folder, 'blobs/sha256'))).filter((name) => HEX.test(name));
  const tar = pack();
  const filled = fill(tar, folder, ['oci-layout', 'index.json', ...names.sort().map((name) => `blobs/sha256/${name}`)]);
  // Reported below; without this a file that cannot be read would be unhandled while its predecessor is sent.
  filled.catch((error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))));
  yield* tar as AsyncIterable<Uint8Array>;
  await filled;
}

/** Whether a folder says that it is an OCI image layout. */
export async function isLayout(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, 'oci-layout'), 'utf8').catch(() => '');
  return text.includes('imageLayoutVersion');
}

/**
 * Makes an OCI image layout folder of an archive that `save` writes. The folder is there when it is complete, and not before.
 *
 * @throws `PATH_EXISTS` when there is something of that name that is not an empty folder
 */
export async function writeLayout(
  folder: string,
  save: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const there = await readdir(folder).catch(() => undefined);
  if (there !== undefined && there.length > 0) {
    throw new EngineError('PATH_EXISTS', `Cannot use input 'oci-layout': ${folder} is not empty`, {
      hint: 'Give a folder that is not there yet',
    });
  }
  const part = `${folder}.${process.pid}.part`;
  try {
    await mkdir(join(part, 'blobs/sha256'), { recursive: true });
    await unpack(part, save);
    await mkdir(dirname(folder), { recursive: true });
    await rm(folder, { recursive: true, force: true });
    await rename(part, folder);
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    throw error;
  }
}

async function fill(tar: ReturnType<typeof pack>, folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(folder, name);
    const found = await lstat(path);
    if (!found.isFile()) continue;
    await pipeline(createReadStream(path), tar.entry({ name, size: found.size }));
  }
  tar.finalize();
}

async function unpack(
  part: string,
  save: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const through = new PassThrough();
  const tar = extract();
  const read = pipeline(through, tar);
  const written = writeEntries(part, tar);
  const all = Promise.all([read, written]);
  all.catch(() => through.destroy());
  await save(
    (chunk) =>
      new Promise((done, failed) => {
        if (through.destroyed) failed(new Error('The folder cannot be written any more'));
        else through.write(chunk, (error) => (error ? failed(error) : done()));
      }),
  ).catch((error: unknown) => {
    through.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  through.end();
  await all;
}

async function writeEntries(part: string, tar: ReturnType<typeof extract>): Promise<void> {
  for await (const entry of tar) {
    const { name } = entry.header;
    // The engine writes no other; a name is never a path of anybody else's making.
    if (name !== 'oci-layout' && name !== 'index.json' && !BLOB.test(name)) entry.resume();
    else await pipeline(entry, createWriteStream(join(part, name), { flags: 'wx', mode: 0o644 }));
  }
}

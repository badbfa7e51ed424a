import { makeFolders } from './base/folders.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import { storeError } from './store/index.ts';
import type { Digest } from './image/types.ts';

/** What a tree of files is written from. */
export interface TreeSource {
  readonly diffIds: readonly Digest[];
  /** No file is later, in seconds since 1970. */
  readonly clamp?: number | undefined;
}

/** `--output type=tar`: the files of the image as one tar, streamed. */
export async function writeTree(
  parts: Parts,
  { diffIds, clamp }: TreeSource,
  write: (chunk: Uint8Array) => void | Promise<void>,
  { signal, onEvent }: ActOptions,
): Promise<void> {
  const snapshots = await parts.snapshots({ signal, onEvent });
  const lowers = await snapshots.ensure(diffIds, { signal, onEvent });
  if (lowers.length === 0) {
    // The end of a tar alone: an image without layers has no files.
    await write(Buffer.alloc(1024));
    return;
  }
  await snapshots.helper.call(
    'export',
    { snapshots: [...lowers], clamp: clamp === undefined ? null : { seconds: clamp } },
    {
      signal,
      onData: write,
      onEvent: (event) => {
        if (event.type === 'warning') onEvent?.({ type: 'warning', message: event.message });
      },
    },
  );
}

/**
 * `--output type=local`: the files of the image in a folder of the user's. One helper reads the image, another one, which is never elevated,
 * writes: so everything belongs to the user, whatever the image says, and what lies in the folder already cannot lead a write elsewhere.
 */
export async function writeFolder(parts: Parts, source: TreeSource, dest: string, options: ActOptions): Promise<void> {
  await makeFolders(dest).catch((error: unknown) => {
    throw storeError('make', dest, error);
  });
  const vertex = { id: `export ${dest}`, name: `exporting to ${dest}` };
  await withVertex(vertex, options.onEvent, async () => {
    const session = parts.userHelper.open(
      'extract',
      { hostPath: dest },
      {
        signal: options.signal,
        onEvent: (event) => {
          if (event.type === 'warning') options.onEvent?.({ type: 'warning', message: event.message });
        },
      },
    );
    // What the writer says counts: when it has failed, the reader is told to stop by the same error.
    const failed = session.result.then(
      () => undefined,
      (error: unknown) => Promise.reject(error as Error),
    );
    failed.catch(() => undefined);
    const write = async (chunk: Uint8Array): Promise<void> => {
      await Promise.race([session.write(chunk), failed]);
    };
    try {
      await writeTree(parts, source, write, options);
    } catch (error) {
      session.close();
      await session.result.catch(() => undefined);
      throw error;
    }
    session.close({ detach: true });
    await session.result;
  });
}

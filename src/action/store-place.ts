import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { EngineError, messageOf } from '../../engine/index.ts';

/** Where the store of this job lies. */
export interface StorePlace {
  readonly root: string;
  readonly freeBytes: number;
}

/**
 * The file system with most free bytes among RUNNER_TEMP's and /mnt, the second disk of older hosted runners; never /tmp, a tmpfs with a
 * quota on newer ones (DESIGN.md 7). A store that an earlier step of the job has made is used again.
 *
 * @param given BERTH_ROOT
 * @throws `STORE_PLACE` naming RUNNER_TEMP when neither can be written
 */
export async function chooseStorePlace(temp: string, given: string | undefined): Promise<StorePlace> {
  if (given && isAbsolute(given)) return { root: given, freeBytes: await freeBytes(given, temp) };
  if (!isAbsolute(temp)) {
    throw new EngineError('STORE_PLACE', 'Cannot find a place for layers: RUNNER_TEMP is not set', {
      hint: 'Run this as a step of a workflow, or use the berth command line',
    });
  }
  const places = await Promise.all([temp, '/mnt'].map(placeIn));
  const [best] = places.filter((place) => place !== undefined).sort((a, b) => b.freeBytes - a.freeBytes);
  if (best) return best;
  throw new EngineError('STORE_PLACE', `Cannot find a place for layers: RUNNER_TEMP ${temp} cannot be written`, {
    hint: 'Look at the owner and the mount options of that folder',
  });
}

async function placeIn(folder: string): Promise<StorePlace | undefined> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(folder);
    return { root: join(folder, 'berth'), freeBytes: bavail * bsize };
  } catch {
    return undefined;
  }
}

async function freeBytes(root: string, temp: string): Promise<number> {
  for (const folder of [root, join(root, '..'), temp]) {
    const found = await statfs(folder).catch((error: unknown) => messageOf(error));
    if (typeof found !== 'string') return found.bavail * found.bsize;
  }
  return 0;
}

import { constants, existsSync } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { EngineError, messageOf } from '../../engine/index.ts';

/** Where the store of this job lies. */
export interface StorePlace {
  readonly root: string;
  readonly freeBytes: number;
}

/**
 * A store that an earlier step of the job has made; else the file system with most free bytes among RUNNER_TEMP's and, where it is another one,
 * that of /mnt, the second disk of older hosted runners. Never /tmp, a tmpfs with a quota on newer ones (DESIGN.md 7).
 *
 * @param given BERTH_ROOT
 * @throws `STORE_PLACE` naming RUNNER_TEMP when neither can be written
 */
export async function chooseStorePlace(temp: string, given: string | undefined, second = '/mnt'): Promise<StorePlace> {
  if (given && isAbsolute(given)) return { root: given, freeBytes: await freeBytes(given, temp) };
  if (!isAbsolute(temp)) {
    throw new EngineError('STORE_PLACE', 'Cannot find a place for layers: RUNNER_TEMP is not set', {
      hint: 'Run this as a step of a workflow, or use the berth command line',
    });
  }
  const [near, far] = await Promise.all([placeIn(temp), placeIn(second)]);
  // On the same disk both have the same room, and which seems to have more depends on what others write meanwhile.
  const places = [near, far?.device === near?.device ? undefined : far].filter((place) => place !== undefined);
  const [best] = places.sort((a, b) => Number(b.used) - Number(a.used) || b.freeBytes - a.freeBytes);
  if (best) return { root: best.root, freeBytes: best.freeBytes };
  throw new EngineError('STORE_PLACE', `Cannot find a place for layers: RUNNER_TEMP ${temp} cannot be written`, {
    hint: 'Look at the owner and the mount options of that folder',
  });
}

interface Candidate extends StorePlace {
  readonly device: number;
  /** There is a store. */
  readonly used: boolean;
}

async function placeIn(folder: string): Promise<Candidate | undefined> {
  const root = join(folder, 'berth');
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    const [{ bavail, bsize }, { dev }] = await Promise.all([statfs(folder), stat(folder)]);
    return { root, freeBytes: bavail * bsize, device: dev, used: existsSync(root) };
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

import { existsSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listFolder } from '../store/files.ts';
import type { Store } from '../store/types.ts';
import type { Connection } from './dependencies.ts';
import { listContainers } from './list.ts';
import { removeAnonymous, type VolumeUse } from './volumes.ts';

const PREFIX = 'volumes-';
/** Milliseconds that a helper has, after its caller's death, from reading an order to making the container's folder. */
const STARTING = 60_000;

/**
 * Writes down that a container is about to get volumes under names that were made up for it, before they are made: who is killed before there
 * is the container leaves volumes that nobody will ever ask for, and a later command of the same id map collects them.
 *
 * @returns a function that takes the note back, once the container has its volumes or they are gone
 */
export async function intendVolumes(
  connection: Pick<Connection, 'root' | 'helper'>,
  id: string,
  uses: readonly VolumeUse[],
): Promise<() => Promise<void>> {
  const names = uses.filter(({ invented }) => invented).map(({ name }) => name);
  if (names.length === 0) return () => Promise.resolve();
  const note = join(connection.root, 'run', prefixOf(connection) + id);
  await writeFile(note, JSON.stringify(names), { flag: 'wx', mode: 0o600 });
  return () => rm(note, { force: true });
}

/** Removes the volumes of containers that never came to be. While somebody makes a container, what is noted may be of that one, and waits. */
export async function collectIntended(connection: Connection, locks: Pick<Store['locks'], 'ifFree'>): Promise<void> {
  const folder = join(connection.root, 'run');
  const prefix = prefixOf(connection);
  const notes = listFolder(folder).filter((name) => name.startsWith(prefix));
  if (notes.length === 0) return;
  await locks.ifFree('containers', async () => {
    for (const name of notes) {
      const note = join(folder, name);
      if ((await isYoung(note)) || (await isComing(connection, name.slice(prefix.length)))) continue;
      // What a container has after all is in use, and stays.
      const left = await removeAnonymous(connection, await readNote(note));
      if (left.length === 0) await rm(note, { force: true });
    }
  });
}

/** Volumes are those of an id map, and only its helper can remove them. */
function prefixOf({ helper }: Pick<Connection, 'helper'>): string {
  return `${PREFIX}${helper.idMapName}.`;
}

async function isYoung(note: string): Promise<boolean> {
  const written = await stat(note).catch(() => undefined);
  return written === undefined || Date.now() - written.mtimeMs < STARTING;
}

/** A helper goes on starting a detached container whose caller was killed: it has a folder, and no state yet. */
async function isComing(connection: Connection, id: string): Promise<boolean> {
  if (!existsSync(join(connection.root, 'containers', id))) return false;
  return !(await listContainers(connection)).some(({ state }) => state.id === id);
}

/** Half a note names nothing: no volume was made yet. */
async function readNote(path: string): Promise<readonly VolumeUse[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    const names: unknown = JSON.parse(text);
    const texts = Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
    return texts.map((name) => ({ name, target: '', anonymous: true }));
  } catch {
    return [];
  }
}

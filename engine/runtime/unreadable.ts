import type { Connection } from './dependencies.ts';
import { isAlive } from './list.ts';

/** A container of which nothing is known but that it is there: its record was torn or overwritten. */
export interface Unreadable {
  readonly id: string;
  readonly isAlive: boolean;
}

/** Those of a RUN have no record and look alike: whoever takes all of them away holds the lock `store`, which no build shares then. */
export async function listUnreadable({ helper }: Pick<Connection, 'helper'>): Promise<readonly Unreadable[]> {
  const { containers } = await helper.call('state', { containers: [] });
  return containers.filter(({ record }) => !isJson(record)).map(({ id, status }) => ({ id, isAlive: isAlive(status) }));
}

/** By its id, or at least the twelve digits of it that are shown: it has no name any more. */
export async function findUnreadable(connection: Connection, id: string): Promise<Unreadable | undefined> {
  if (!/^[0-9a-f]{12,64}$/.test(id)) return undefined;
  const [found, ...others] = (await listUnreadable(connection)).filter((one) => one.id.startsWith(id));
  return others.length === 0 ? found : undefined;
}

/** Ends and removes them. What they have written is garbage then, which the next prune collects. @returns warnings */
export async function removeUnreadable(
  { helper }: Pick<Connection, 'helper'>,
  ids: readonly string[],
): Promise<readonly string[]> {
  const { warnings } = await helper.call('remove', {
    containers: [...ids],
    snapshots: [],
    force: true,
    garbage: false,
  });
  return warnings;
}

/** What another version of the engine wrote is JSON as well, and is that one's to judge. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

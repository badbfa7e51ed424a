import { accessSync, constants } from 'node:fs';
import { findProgram } from '../../native/index.ts';
import type { IdMap } from '../../native/protocol.ts';

/** What gives a container in a user namespace a way out of its network. */
export interface Pasta {
  /** Path of the program; undefined where it is not installed. */
  readonly program: string | undefined;
}

/** What to do where there is none. */
export const INSTALL_PASTA = 'install pasta for one (Debian, Ubuntu and Fedora: package passt)';

/** What `pasta` makes its devices of. */
export const TUN = '/dev/net/tun';

/** Whether this user may open {@link TUN}. */
export function hasTun(): boolean {
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Looks for passt's `pasta`; undefined on a rung that needs none. */
export async function findPasta(idMap: IdMap): Promise<Pasta | undefined> {
  return idMap.kind === 'root' ? undefined : { program: await findProgram('pasta') };
}

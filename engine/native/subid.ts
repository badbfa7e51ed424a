import { access, constants, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { IdMap } from './protocol.ts';

/** Where programs of the machine may lie; the environment's PATH is not asked, since some are setuid. */
const PLACES = ['/usr/bin', '/bin', '/usr/local/bin'];

/** The subordinate ids of this user, or why there are none. */
export type SubordinateIds = { readonly idMap: IdMap } | { readonly missing: string };

/** Reads `/etc/subuid` and `/etc/subgid` and looks for newuidmap and newgidmap (shadow-utils' formats). */
export async function findSubordinateIds(etc = '/etc'): Promise<SubordinateIds> {
  const uids = await findRange(join(etc, 'subuid'));
  const gids = await findRange(join(etc, 'subgid'));
  if (!uids) return { missing: `${join(etc, 'subuid')} has no range for this user` };
  if (!gids) return { missing: `${join(etc, 'subgid')} has no range for this user` };
  const newuidmap = await findProgram('newuidmap');
  const newgidmap = await findProgram('newgidmap');
  if (!newuidmap || !newgidmap) return { missing: `newuidmap and newgidmap are not installed (package uidmap)` };
  return {
    idMap: {
      kind: 'sub',
      firstUid: uids.first,
      uidCount: uids.count,
      firstGid: gids.first,
      gidCount: gids.count,
      newuidmap,
      newgidmap,
    },
  };
}

interface Range {
  readonly first: number;
  readonly count: number;
}

async function findRange(file: string): Promise<Range | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return parseSubordinateIds(text, currentUser());
}

/** The largest range of the user in a file of `name:first:count` lines; name may be the number. */
export function parseSubordinateIds(
  text: string,
  user: { readonly name: string | undefined; readonly uid: number },
): Range | undefined {
  const ranges = text
    .split('\n')
    .map((line) => /^([^:#]+):(\d+):(\d+)\s*$/.exec(line.trim()))
    .filter((match) => match !== null && (match[1] === user.name || match[1] === String(user.uid)))
    .map((match) => ({ first: Number(match?.[2]), count: Number(match?.[3]) }))
    .filter(({ first, count }) => count > 0 && first + count <= 0xffff_ffff);
  return ranges.sort((a, b) => b.count - a.count)[0];
}

function currentUser(): { readonly name: string | undefined; readonly uid: number } {
  const uid = process.getuid?.() ?? 0;
  try {
    return { name: userInfo().username, uid };
  } catch {
    // A uid without an entry in passwd, as in many pods.
    return { name: undefined, uid };
  }
}

/** A program of the machine at one of the places where packages put theirs. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const place of PLACES) {
    const path = join(place, name);
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return path;
  }
  return undefined;
}

import { existsSync, lstatSync, mkdirSync, realpathSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { dirname, isAbsolute, join } from 'node:path';

/** Who runs the command, and what the environment says of the user's folders. */
export interface CacheUser {
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Lets Node keep compiled code from one command to the next (Node 22.1 and later; older ones compile each time). `NODE_COMPILE_CACHE` names
 * another folder and `NODE_DISABLE_COMPILE_CACHE` leaves it out: both are Node's own.
 */
export function enableCodeCache(user: CacheUser): void {
  const enable = nodeModule.enableCompileCache as typeof nodeModule.enableCompileCache | undefined;
  if (enable === undefined || user.env['NODE_COMPILE_CACHE']) return;
  const folder = codeFolder(user);
  if (folder !== undefined) enable(folder);
}

/**
 * Where compiled code is kept. What lies there is executed as it is found, so it is a folder that nobody but its user can have written; where
 * there is none, nothing is kept and nothing is said. Node's own variables name another folder, or none.
 */
export function codeFolder(user: CacheUser): string | undefined {
  if (user.env['NODE_DISABLE_COMPILE_CACHE']) return undefined;
  const given = user.env['NODE_COMPILE_CACHE'];
  const caches = cachesOf(user);
  const folder = given || (caches === undefined ? undefined : join(caches, 'berth'));
  return folder === undefined ? undefined : privateFolder(folder, user.uid);
}

/** Where a user keeps caches. For root that is `/var/cache`: its HOME may be that of whoever typed sudo. */
export function cachesOf({ uid, env }: CacheUser): string | undefined {
  if (uid === 0) return '/var/cache';
  const { XDG_CACHE_HOME: caches, HOME: home } = env;
  if (caches && isAbsolute(caches)) return caches;
  return home && isAbsolute(home) ? join(home, '.cache') : undefined;
}

/**
 * Makes the folder where it is missing, with the one above it, and looks who can write to it.
 *
 * @returns its path without links; undefined when it cannot be made, or when somebody else could have put something into it
 */
export function privateFolder(folder: string, uid: number): string | undefined {
  try {
    make(dirname(folder), uid === 0 ? 0o755 : 0o700);
    make(folder, 0o700);
    const real = realpathSync(folder);
    return isPrivate(real, uid) ? real : undefined;
  } catch {
    return undefined;
  }
}

/** One folder and no more: Node's recursive way does not end below /proc. */
function make(folder: string, mode: number): void {
  if (!existsSync(folder)) mkdirSync(folder, { mode });
}

/** The folder is the user's own, and no other user can put another one in its place or in that of a folder above it. */
function isPrivate(folder: string, uid: number): boolean {
  const own = lstatSync(folder);
  if (!own.isDirectory() || own.uid !== uid) return false;
  for (let path = folder; ; path = dirname(path)) {
    const { mode, uid: owner } = lstatSync(path);
    const isShared = (mode & 0o022) !== 0;
    // In a sticky folder only its owner can take an entry away; the folder itself must not be shared at all.
    const isSticky = path !== folder && (mode & 0o1000) !== 0;
    if ((owner !== 0 && owner !== uid) || (isShared && !isSticky)) return false;
    if (path === dirname(path)) return true;
  }
}

import { lstatSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { EngineError, messageOf } from '../base/errors.ts';
import { unreadableHint } from './content.ts';
import { escapeControl } from '../base/escape.ts';
import { compareBytes, joinBytes } from './bytes.ts';
import type { IgnoreMatcher, ParentMatches } from './pattern/matcher.ts';
import type { ContextEntry } from './types.ts';

/** All that a walk finds. */
export interface Listing {
  /** Sorted by path, directories before what they hold. */
  readonly entries: readonly ContextEntry[];
  /** What cannot be copied, with the reason. */
  readonly skipped: readonly Skipped[];
}

/** Something that was left out. */
export interface Skipped {
  readonly path: string;
  readonly reason: string;
}

/** Directories after which the walk lets other work run. */
const BREATH = 200;

/**
 * Lists a directory without what is ignored. Ignored directories are not read unless an exception may bring back something in them, and then
 * they are listed only if it does. Links are not followed, other file systems not entered. Calls are synchronous: for many small ones that
 * is several times faster than the thread pool.
 *
 * @throws `CONTEXT_INVALID` naming what cannot be read
 */
export async function walk(
  root: Buffer,
  ignore: IgnoreMatcher,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Listing> {
  const skipped: Skipped[] = [];
  const entries: ContextEntry[] = [];
  const state: WalkState = { root, ignore, device: lstat(root).dev, entries, listed: new Set(), skipped };
  const open: Directory[] = [{ path: Buffer.alloc(0), matches: undefined, unlisted: [] }];
  for (let count = 1, next = open.pop(); next; next = open.pop(), count += 1) {
    if (count % BREATH === 0) await setImmediate(undefined, { ...(options.signal ? { signal: options.signal } : {}) });
    options.signal?.throwIfAborted();
    open.push(...readDirectory(next, state));
  }
  return { entries: entries.sort((a, b) => compareBytes(a.path, b.path)), skipped };
}

interface Directory {
  readonly path: Buffer;
  readonly matches: ParentMatches | undefined;
  /** Ignored directories above that are listed only when something below them is. */
  readonly unlisted: ContextEntry[];
}

interface WalkState {
  readonly root: Buffer;
  readonly ignore: IgnoreMatcher;
  readonly device: bigint;
  readonly entries: ContextEntry[];
  readonly listed: Set<ContextEntry>;
  readonly skipped: Skipped[];
}

/** Adds what the directory holds to the listing; returns the directories to read next. */
function readDirectory(directory: Directory, state: WalkState): readonly Directory[] {
  const below: Directory[] = [];
  for (const name of readNames(joinBytes(state.root, directory.path))) {
    const path = joinBytes(directory.path, name);
    const shown = path.toString('utf8');
    const { isIgnored, matches } = state.ignore.verdict(shown, directory.matches);
    const stat = isIgnored && !state.ignore.mayHoldExceptions(shown) ? undefined : lstat(joinBytes(state.root, path));
    if (!stat || (isIgnored && !stat.isDirectory())) continue;
    const entry = toEntry(path, stat, state);
    if (!entry) continue;
    const unlisted = isIgnored ? [...directory.unlisted, entry] : directory.unlisted;
    if (!isIgnored) list(entry, unlisted, state);
    if (entry.type === 'directory') below.push({ path, matches, unlisted: isIgnored ? unlisted : [] });
  }
  return below;
}

function list(entry: ContextEntry, above: readonly ContextEntry[], { listed, entries }: WalkState): void {
  for (const one of [...above, entry]) {
    if (listed.has(one)) continue;
    listed.add(one);
    entries.push(one);
  }
}

function toEntry(path: Buffer, stat: BigIntStats, { root, device, skipped }: WalkState): ContextEntry | undefined {
  const skip = (reason: string): undefined => void skipped.push({ path: escapeControl(path.toString('utf8')), reason });
  const common = {
    path,
    mode: Number(stat.mode & 0o7777n),
    size: Number(stat.size),
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    inode: stat.ino,
  };
  if (stat.isFile()) return { ...common, type: 'file' };
  if (stat.isSymbolicLink()) return { ...common, type: 'symlink', linkTarget: readLink(joinBytes(root, path)) };
  if (!stat.isDirectory()) return skip(stat.isFIFO() ? 'a FIFO' : stat.isSocket() ? 'a socket' : 'a device');
  return stat.dev === device ? { ...common, type: 'directory' } : skip('another file system is mounted there');
}

function readNames(path: Buffer): readonly Buffer[] {
  return attempt(path, () => readdirSync(path, { encoding: 'buffer' }));
}

function readLink(path: Buffer): Buffer {
  return attempt(path, () => readlinkSync(path, { encoding: 'buffer' }));
}

function lstat(path: Buffer): BigIntStats {
  return attempt(path, () => lstatSync(path, { bigint: true }));
}

function attempt<T>(path: Buffer, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    const shown = escapeControl(path.toString('utf8'));
    const short = shown.length > 500 ? `${shown.slice(0, 500)}…` : shown;
    const message = `Cannot read the build context: ${short}: ${messageOf(cause).split(',', 1)[0] ?? ''}`;
    throw new EngineError('CONTEXT_INVALID', message, { cause, hint: unreadableHint(cause) });
  }
}

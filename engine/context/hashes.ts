import { statfs } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { joinBytes, keyOf } from './bytes.ts';
import { changed, hashFile, isSmall } from './content.ts';
import type { ContextEntry } from './types.ts';

/**
 * Content hashes of files that have not changed since they were read, kept by the caller. Key: the absolute path, one character a byte;
 * value: inode, size, change time and hash, joined by colons.
 */
export interface StatCache {
  load(): Promise<Map<string, string>>;
  save(entries: Map<string, string>): Promise<void>;
}

/** BLAKE3 of large files of the context, 32 bytes each, in order. @throws when one is not as it was listed */
export type HashLarge = (
  entries: readonly ContextEntry[],
  options: { readonly signal?: AbortSignal | undefined },
) => Promise<Buffer>;

/** Gives the content hashes of a context's files: SHA-256 in hex of small ones, `blake3:` and hex of large ones. */
export interface Hashes {
  /** Of each file of the list, in order. */
  of(
    entries: readonly ContextEntry[],
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly string[]>;
  /**
   * Takes hashes that somebody else made while he read the files, 32 bytes each.
   *
   * @throws `CONTEXT_CHANGED` for a file that had another one
   */
  learn(entries: readonly ContextEntry[], contents: Buffer): Promise<void>;
}

/** What {@link createHashes} needs. */
export interface HashesOptions {
  readonly root: Buffer;
  readonly statCache?: StatCache | undefined;
  readonly hashLarge?: HashLarge | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Bytes of either hash. */
const LENGTH = 32;
const BREATH = 200;
/** A file that changed so short a time before it was read may change again without getting another time; in milliseconds. */
const RACY_MS = 2000;
/** The same where the kernel of this machine gives the times: it does so in steps of its clock, 1 to 10 ms. */
const RACY_LOCAL_MS = 50;
/** `f_type` of such file systems: ext4, XFS, Btrfs, tmpfs, F2FS, overlayfs on one of them. */
const LOCAL = new Set([0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0xf2f5_2010, 0x794c_7630]);
const SECOND = 1_000_000_000n;

/** {@link Hashes} that read only what the stat cache doesn't know. */
export function createHashes({ root, statCache, hashLarge = noHelper, now }: HashesOptions): Hashes {
  let loaded: Promise<Map<string, string>> | undefined;
  const load = (): Promise<Map<string, string>> =>
    (loaded ??= statCache?.load() ?? Promise.resolve(new Map<string, string>()));
  const known = new Map<ContextEntry, string>();
  /** Every file is read after this, whoever reads it. */
  const begun = now();
  let local: Promise<boolean> | undefined;

  /** Remembers new hashes, here and in the stat cache. */
  async function keep(entries: readonly ContextEntry[], hashes: readonly string[]): Promise<void> {
    const cache = await load();
    const isLocal = await (local ??= isLocalFolder(root));
    let isNew = false;
    for (const [at, entry] of entries.entries()) {
      const hash = hashes[at] ?? '';
      known.set(entry, hash);
      const [key, value] = [keyOf(joinBytes(root, entry.path)), `${stampOf(entry)}:${hash}`];
      if (!isSettled(entry, begun, isLocal) || cache.get(key) === value) continue;
      cache.set(key, value);
      isNew = true;
    }
    if (isNew) await statCache?.save(cache);
  }

  /** Small files are read synchronously: other work gets its turn now and then. */
  async function readSmall(entries: readonly ContextEntry[], signal: AbortSignal | undefined): Promise<string[]> {
    const hashes: string[] = [];
    for (const [at, entry] of entries.entries()) {
      if (at % BREATH === BREATH - 1) await setImmediate();
      signal?.throwIfAborted();
      hashes.push(hashFile(joinBytes(root, entry.path), entry));
    }
    return hashes;
  }

  return {
    async of(entries, { signal }) {
      const cache = await load();
      const unknown: ContextEntry[] = [];
      for (const entry of new Set(entries)) {
        const found = known.get(entry) ?? cached(cache.get(keyOf(joinBytes(root, entry.path))), entry);
        if (found === undefined) unknown.push(entry);
        else known.set(entry, found);
      }
      const [small, large] = [unknown.filter(isSmall), unknown.filter((entry) => !isSmall(entry))];
      const ofLarge = large.length === 0 ? [] : toHashes(large, await hashLarge(large, { signal }));
      const ofSmall = await readSmall(small, signal);
      if (unknown.length > 0) await keep([...large, ...small], [...ofLarge, ...ofSmall]);
      return entries.map((entry) => known.get(entry) ?? '');
    },
    async learn(entries, contents) {
      const hashes = toHashes(entries, contents);
      for (const [at, entry] of entries.entries()) {
        const before = known.get(entry);
        if (before !== undefined && before !== hashes[at]) throw changed(joinBytes(root, entry.path));
      }
      await keep(entries, hashes);
    },
  };
}

function toHashes(entries: readonly ContextEntry[], contents: Buffer): readonly string[] {
  if (contents.length !== entries.length * LENGTH) throw new Error('There is not one hash for each file');
  return entries.map((entry, at) => {
    const hex = contents.toString('hex', at * LENGTH, (at + 1) * LENGTH);
    return isSmall(entry) ? hex : `blake3:${hex}`;
  });
}

function noHelper(): never {
  throw new Error('This context was opened without what hashes large files');
}

function cached(value: string | undefined, entry: ContextEntry): string | undefined {
  const prefix = `${stampOf(entry)}:`;
  const hash = value?.startsWith(prefix) ? value.slice(prefix.length) : undefined;
  const form = isSmall(entry) ? /^[0-9a-f]{64}$/ : /^blake3:[0-9a-f]{64}$/;
  return hash !== undefined && form.test(hash) ? hash : undefined;
}

/** Tells a file from what it becomes: inode, size and change time. */
export function stampOf({ inode, size, ctimeNs }: ContextEntry): string {
  return `${inode}:${size}:${ctimeNs}`;
}

/** Whatever happens to the file after `begun` (milliseconds since 1970) gives it another time than it has. */
function isSettled({ mtimeNs, ctimeNs }: ContextEntry, begun: number, isLocal: boolean): boolean {
  const latest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  // A time of whole seconds is that of a file system which keeps no finer ones.
  const margin = isLocal && ctimeNs % SECOND !== 0n ? RACY_LOCAL_MS : RACY_MS;
  return begun - Number(latest / 1_000_000n) > margin;
}

async function isLocalFolder(folder: Buffer): Promise<boolean> {
  const { type } = await statfs(folder).catch(() => ({ type: 0 }));
  return LOCAL.has(type);
}

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
/** A file that changed so short ago may change again without a new time. */
const RACY_MS = 2000;

/** {@link Hashes} that read only what the stat cache doesn't know. */
export function createHashes({ root, statCache, hashLarge = noHelper, now }: HashesOptions): Hashes {
  let loaded: Promise<Map<string, string>> | undefined;
  const load = (): Promise<Map<string, string>> =>
    (loaded ??= statCache?.load() ?? Promise.resolve(new Map<string, string>()));
  const known = new Map<ContextEntry, string>();

  /** Remembers new hashes, here and in the stat cache. */
  async function keep(entries: readonly ContextEntry[], hashes: readonly string[]): Promise<void> {
    const cache = await load();
    let isNew = false;
    for (const [at, entry] of entries.entries()) {
      const hash = hashes[at] ?? '';
      known.set(entry, hash);
      const [key, value] = [keyOf(joinBytes(root, entry.path)), `${stampOf(entry)}:${hash}`];
      if (!isSettled(entry, now()) || cache.get(key) === value) continue;
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

function isSettled({ mtimeNs, ctimeNs }: ContextEntry, now: number): boolean {
  const latest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return now - Number(latest / 1_000_000n) > RACY_MS;
}

import { setImmediate } from 'node:timers/promises';
import { createLimit } from '../base/limit.ts';
import { joinBytes, keyOf } from './bytes.ts';
import { hashFile } from './content.ts';
import type { ContextEntry } from './types.ts';

/**
 * Content hashes of files that have not changed since they were read, kept by the caller. Key: the absolute path, one character a byte;
 * value: inode, size, change time and SHA-256, joined by colons.
 */
export interface StatCache {
  load(): Promise<Map<string, string>>;
  save(entries: Map<string, string>): Promise<void>;
}

/** Gives the content hashes of a context's files. */
export interface Hashes {
  /** SHA-256 in hex of each file of the list, in order. */
  of(
    entries: readonly ContextEntry[],
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly string[]>;
}

/** What {@link createHashes} needs. */
export interface HashesOptions {
  readonly root: Buffer;
  readonly statCache?: StatCache | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const CONCURRENCY = 8;
const BREATH = 200;
/** A file that changed so short ago may change again without a new time. */
const RACY_MS = 2000;

/** {@link Hashes} that read only what the stat cache doesn't know. */
export function createHashes({ root, statCache, now }: HashesOptions): Hashes {
  let loaded: Promise<Map<string, string>> | undefined;
  const known = new Map<ContextEntry, string>();
  let count = 0;

  /** Small files are read synchronously: other work gets its turn now and then. */
  async function read(path: Buffer, entry: ContextEntry, signal: AbortSignal | undefined): Promise<string> {
    count += 1;
    if (count % BREATH === 0) await setImmediate();
    return await hashFile(path, entry, signal);
  }

  return {
    async of(entries, { signal }) {
      const cache = await (loaded ??= statCache?.load() ?? Promise.resolve(new Map<string, string>()));
      const limit = createLimit(CONCURRENCY);
      let isNew = false;
      const hashOne = async (entry: ContextEntry): Promise<string> => {
        const path = joinBytes(root, entry.path);
        const found = known.get(entry) ?? cached(cache.get(keyOf(path)), entry);
        const hash = found ?? (await limit(() => read(path, entry, signal)));
        known.set(entry, hash);
        if (found === undefined && isSettled(entry, now())) {
          cache.set(keyOf(path), `${stamp(entry)}:${hash}`);
          isNew = true;
        }
        return hash;
      };
      const hashes = await Promise.all(entries.map(hashOne));
      if (isNew) await statCache?.save(cache);
      return hashes;
    },
  };
}

function cached(value: string | undefined, entry: ContextEntry): string | undefined {
  const prefix = `${stamp(entry)}:`;
  const hash = value?.startsWith(prefix) ? value.slice(prefix.length) : undefined;
  return hash !== undefined && /^[0-9a-f]{64}$/.test(hash) ? hash : undefined;
}

function stamp({ inode, size, ctimeNs }: ContextEntry): string {
  return `${inode}:${size}:${ctimeNs}`;
}

function isSettled({ mtimeNs, ctimeNs }: ContextEntry, now: number): boolean {
  const latest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return now - Number(latest / 1_000_000n) > RACY_MS;
}

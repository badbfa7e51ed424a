import { setImmediate } from 'node:timers/promises';
import { joinBytes, keyOf } from './bytes.ts';
import { blobId, changed, hashContent, isSmall, readUnchanged } from './content.ts';
import type { WorkTree } from './git-worktree.ts';
import type { ContextEntry } from './types.ts';

/**
 * Content hashes of files that have not changed since they were read, kept by the caller. Key: the absolute path, one character a byte;
 * value: inode, size, change time and hash, joined by colons. Beside them hashes of blobs of git: `git:` and the id to size and hash.
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
  /** The work tree in which the root lies. Asked for only when there is a file that the stat cache does not know. */
  readonly git?: (() => Promise<WorkTree | undefined>) | undefined;
  /** All files of the context as it is now: of many others the stat cache forgets what it knows. */
  readonly listed?: readonly ContextEntry[] | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Bytes of either hash. */
const LENGTH = 32;
const BREATH = 200;
/**
 * A file that changed so short a time before it was read may change again without getting another time; in milliseconds. The clock of files is
 * coarse, up to two seconds on some file systems. And who writes through a mapping gives the file a time when he first touches a page, and again
 * only after the kernel has written that page back: within 30 s and at most 5 s later (`vm.dirty_expire_centisecs`). On tmpfs, which is written back
 * nowhere, a mapping that stays can do so for longer.
 */
const RACY_MS = 40_000;

/** In front of the ids of git's blobs; paths are absolute. */
const GIT = 'git:';
/** Beside twice the files of a context; other ignore files, or another branch, see other files of it. */
const SLACK = 1000;
/** Behind a root it gives what all paths below it begin with. */
const NAMELESS = Buffer.alloc(0);

/**
 * Bounds a stat cache by the files that there are: what is known of others below the root goes first, then the oldest blobs of git. Files of other
 * roots are none of its business: they stay, and count as being there.
 */
function forgetOthers(cache: Map<string, string>, root: Buffer, listed: readonly ContextEntry[]): void {
  if (cache.size <= mostOf(listed.length)) return;
  const [below, there] = [
    keyOf(joinBytes(root, NAMELESS)),
    new Set(listed.map(({ path }) => keyOf(joinBytes(root, path)))),
  ];
  const paths = [...cache.keys()].filter((key) => !key.startsWith(GIT));
  const own = paths.filter((key) => key.startsWith(below));
  const most = mostOf(listed.length + paths.length - own.length);
  if (cache.size <= most) return;
  for (const key of own) if (!there.has(key)) cache.delete(key);
  for (const key of cache.keys()) {
    if (cache.size <= most) return;
    if (key.startsWith(GIT)) cache.delete(key);
  }
}

function mostOf(files: number): number {
  return 2 * files + SLACK;
}

/** {@link Hashes} that read only what neither the stat cache nor git knows. */
export function createHashes({ root, statCache, hashLarge = noHelper, git, listed, now }: HashesOptions): Hashes {
  let loaded: Promise<Map<string, string>> | undefined;
  const load = (): Promise<Map<string, string>> =>
    (loaded ??= statCache?.load() ?? Promise.resolve(new Map<string, string>()));
  const known = new Map<ContextEntry, string>();
  /** Every file is read after this, whoever reads it. */
  const begun = now();
  /** What is remembered beside the files themselves. */
  const blobs = new Map<string, string>();

  /** Remembers new hashes, here and in the stat cache. */
  async function keep(entries: readonly ContextEntry[], hashes: readonly string[]): Promise<void> {
    const cache = await load();
    let isNew = false;
    const put = (key: string, value: string): void => {
      isNew ||= cache.get(key) !== value;
      cache.set(key, value);
    };
    for (const [at, entry] of entries.entries()) {
      const hash = hashes[at] ?? '';
      known.set(entry, hash);
      if (isSettled(entry, begun)) put(keyOf(joinBytes(root, entry.path)), `${stampOf(entry)}:${hash}`);
    }
    for (const [key, value] of blobs) put(key, value);
    blobs.clear();
    if (!isNew) return;
    if (listed) forgetOthers(cache, root, listed);
    await statCache?.save(cache);
  }

  /** Small files are read synchronously: other work gets its turn now and then. */
  async function readSmall(entries: readonly ContextEntry[], signal: AbortSignal | undefined): Promise<string[]> {
    const hashes: string[] = [];
    const [cache, tree] = [await load(), entries.length === 0 ? undefined : await git?.()];
    for (const [at, entry] of entries.entries()) {
      if (at % BREATH === BREATH - 1) await setImmediate();
      signal?.throwIfAborted();
      hashes.push((tree && hashOfBlob(cache, tree, entry)) ?? read(tree, entry));
    }
    return hashes;
  }

  /** Reads a file; where its content is a blob that git tracks, the hash is good for whatever else holds that blob. */
  function read(tree: WorkTree | undefined, entry: ContextEntry): string {
    const content = readUnchanged(joinBytes(root, entry.path), entry);
    const hash = hashContent(content);
    const oid = tree?.find(entry)?.oid;
    if (tree && oid !== undefined && blobId(content, tree.format) === oid)
      blobs.set(blobKey(oid), `${entry.size}:${hash}`);
    return hash;
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

/**
 * The hash of a file that git tracks and has found unchanged, when its blob was read before: also in another checkout, where the file has another
 * inode and another time. Only what is stored as it is counts, and the sizes must agree.
 */
function hashOfBlob(cache: ReadonlyMap<string, string>, tree: WorkTree, entry: ContextEntry): string | undefined {
  const file = tree.find(entry);
  const value = file && cache.get(blobKey(file.oid));
  // No guard against a mapping here: git has none either, and what it calls unchanged is what the user sees.
  if (!file || value === undefined || !tree.isUntouched(entry, file) || !tree.isVerbatim(entry)) return undefined;
  const hash = value.startsWith(`${entry.size}:`) ? value.slice(`${entry.size}:`.length) : '';
  return /^[0-9a-f]{64}$/.test(hash) ? hash : undefined;
}

/** No absolute path begins like this. */
function blobKey(oid: string): string {
  return `${GIT}${oid}`;
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
function isSettled({ mtimeNs, ctimeNs }: ContextEntry, begun: number): boolean {
  const latest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return begun - Number(latest / 1_000_000n) > RACY_MS;
}

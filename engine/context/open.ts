import { escapeControl } from '../base/escape.ts';
import type { WarningEvent } from '../base/progress.ts';
import { joinBytes } from './bytes.ts';
import { requireReadable } from './content.ts';
import { digestSelection, shapeOfSelection } from './digest.ts';
import { credentialWarning, GIT_CONFIG } from './git-config.ts';
import { asTracked, isPossible, modeInGit } from './git-modes.ts';
import { openWorkTree, type GitTrust, type WorkTree } from './git-worktree.ts';
import { createHashes, type HashLarge, type StatCache } from './hashes.ts';
import { readIgnore } from './ignore.ts';
import { createTree } from './listing.ts';
import { createMissing } from './missing.ts';
import { toFileRecords, toRecords } from './records.ts';
import { requireRoot } from './root.ts';
import { selectFrom } from './select.ts';
import type { Context, ContextEntry, Selected } from './types.ts';
import { walk, type Skipped } from './walk.ts';

/**
 * The helper's `contents`: of a list of files below a root their BLAKE3, 32 bytes each.
 *
 * @throws when one is not as it was listed
 */
export type ReadContents = (
  root: string,
  list: Buffer,
  options: { readonly signal?: AbortSignal | undefined },
) => Promise<Buffer>;

/** How a context is opened. */
export interface OpenContextOptions {
  /** Path of the Dockerfile; its `<name>.dockerignore` goes before `.dockerignore`. */
  readonly dockerfile?: string | undefined;
  /** What messages call a directory whose path says nothing to the user; null: files that nobody gave. Default: its path. */
  readonly name?: string | null | undefined;
  /** An ignore file to use instead of both; null: none, as for files that come from elsewhere. */
  readonly ignoreFile?: string | null | undefined;
  /**
   * `git`: of modes only the bit counts that git keeps, whatever the umask of the checkout. `tracked`: so for files that git tracks and that are
   * clean, and git is asked what it knows of their content. Default: exact.
   */
  readonly modes?: 'exact' | 'git' | 'tracked' | undefined;
  /** Of `tracked`: whose repositories are believed. */
  readonly git?: GitTrust | undefined;
  /** Directories that must not lie inside the context: the engine's store. */
  readonly forbid?: readonly string[] | undefined;
  readonly statCache?: StatCache | undefined;
  /** Hashes large files; without it only small ones have a digest. */
  readonly contents?: ReadContents | undefined;
  /** Hears of FIFOs, sockets, devices and mounts that are left out. */
  readonly onEvent?: ((event: WarningEvent) => void) | undefined;
  /** Milliseconds since 1970; a file that has just changed is not trusted to the stat cache. Default: the clock. */
  readonly now?: (() => number) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists a local directory as build context.
 *
 * @throws `CONTEXT_INVALID` when it is no directory, is `/` or holds a forbidden directory; `DOCKERIGNORE_INVALID`
 */
export async function openContext(root: string, options: OpenContextOptions = {}): Promise<Context> {
  options.signal?.throwIfAborted();
  const real = requireRoot(root, options.forbid ?? []);
  const ignore = await readIgnore(real, options);
  const rootBytes = Buffer.from(real);
  const { entries: found, skipped } = await walk(rootBytes, ignore.matcher, { signal: options.signal });
  const entries = options.modes === 'git' ? found.map(normalised) : found;
  for (const one of skipped) options.onEvent?.(skippedWarning(one));
  const tree = createTree(entries);
  const { statCache, contents, now = Date.now } = options;
  const hashLarge: HashLarge | undefined = contents && ((files, how) => contents(real, toFileRecords(files), how));
  let opened: Promise<WorkTree | undefined> | undefined;
  const git = options.modes === 'tracked' ? () => (opened ??= openWorkTree(real, options.git)) : undefined;
  const hashes = createHashes({ root: rootBytes, statCache, hashLarge, git, listed: entries, now });
  const tracked = createTracked(rootBytes, git);
  const missing = createMissing(real, { tree, skipped, ignorePath: ignore.path, name: options.name });
  const gitConfig = tree.get(Buffer.from(GIT_CONFIG));
  let isTold = gitConfig === undefined;
  return {
    root: real,
    select: async (sources, how) => {
      const selected = selectFrom(tree, sources, { ...how, missing: (source) => missing(source, how) });
      if (!isTold && selected.some(({ entry }) => entry === gitConfig)) {
        isTold = true;
        const warning = await credentialWarning(real);
        if (warning) options.onEvent?.(warning);
      }
      return await tracked(selected);
    },
    digest: (selected, how = {}) => digestSelection(selected, hashes, how),
    shape: (selected, how = {}) => shapeOfSelection(selected, how),
    learn: (selected, found) => hashes.learn(filesOf(selected), found),
    records: (selected, how) => {
      for (const entry of filesOf(selected)) requireReadable(joinBytes(rootBytes, entry.path), entry);
      return toRecords(selected, how);
    },
    skipped: skipped.map(({ path }) => path),
  };
}

function filesOf(selected: readonly Selected[]): readonly ContextEntry[] {
  return selected.map(({ entry }) => entry).filter(({ type }) => type === 'file');
}

/** Gives what is selected the modes that git keeps, where that counts. What is selected twice is one and the same entry. */
function createTracked(
  root: Buffer,
  git: (() => Promise<WorkTree | undefined>) | undefined,
): (selected: readonly Selected[]) => Promise<readonly Selected[]> {
  const known = new Map<ContextEntry, ContextEntry>();
  return async (selected) => {
    const tree = git && selected.some(({ entry }) => isPossible(entry)) ? await git() : undefined;
    if (!tree) return selected;
    return selected.map((one) => {
      const entry = known.get(one.entry) ?? asTracked(one.entry, root, tree);
      known.set(one.entry, entry);
      return entry === one.entry ? one : { ...one, entry };
    });
  };
}

/** Files are 644 or 755, directories 755; a link has no mode of its own. */
function normalised(entry: ContextEntry): ContextEntry {
  if (entry.type === 'symlink') return entry;
  const isExecutable = entry.type === 'directory' || (entry.mode & 0o111) !== 0;
  return { ...entry, mode: modeInGit(isExecutable), isNormalised: true };
}

function skippedWarning({ path, reason }: Skipped): WarningEvent {
  return { type: 'warning', message: `Left out of the build context: ${escapeControl(path)} is ${reason}` };
}

import { copyFile, link, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../../engine/index.ts';
import { INDEX_FILE, type CacheDocument } from './document.ts';
import { indexName, type EntryName } from './names.ts';
import { withoutEntries, type SavePlan, type Upload } from './plan.ts';
import type { CacheEndpoint } from './service.ts';
import { signIndex } from './signature.ts';

/** What saving goes through. */
export interface SaveParts {
  /** Where entries are laid out for the toolkit: what the toolkit takes for the workspace. */
  readonly folder: string;
  /** `saveCache` of @actions/cache, or {@link confirmedSave} of it: a number below 0 when nothing was saved. */
  readonly saveCache: (paths: string[], key: string) => Promise<number>;
  /** True when the service has the entry, whoever saved it. */
  readonly exists: (name: EntryName) => Promise<boolean>;
  readonly warn: (message: string) => void;
  /** Makes the index entry's key unlike any other. */
  readonly unique: string;
  /** The index is signed with it. */
  readonly signingKey?: string | undefined;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/**
 * With version 1 of the service the toolkit gives the number of an entry as soon as it is reserved, whether it could be filled or not: what it
 * says is believed when the service has the entry.
 */
export function confirmedSave(
  { saveCache, exists }: Pick<SaveParts, 'saveCache' | 'exists'>,
  version: CacheEndpoint['version'],
): SaveParts['saveCache'] {
  if (version === 2) return saveCache;
  return async (paths, key) => {
    const id = await saveCache(paths, key);
    return id >= 0 && (await exists({ key, path: paths[0] ?? '' })) ? id : -1;
  };
}

export interface SaveResult {
  readonly entries: number;
  readonly bytes: number;
  readonly indexSaved: boolean;
}

const CONCURRENCY = 4;

/** Saves the blobs, then the index over those that are there. Never throws: a cache fault is a warning. */
export async function savePlan(plan: SavePlan, parts: SaveParts): Promise<SaveResult> {
  const failed = new Set<string>();
  const done: Upload[] = [];
  try {
    await mkdir(parts.folder, { recursive: true, mode: 0o700 });
    await uploadAll(plan.uploads, parts, { failed, done });
    // When the service refuses entries, it would refuse the index too.
    const indexSaved =
      failed.size === 0 || done.length > 0 ? await saveIndex(plan, withoutEntries(plan, failed), parts) : false;
    return { entries: done.length, bytes: sizeOf(done), indexSaved };
  } catch (error) {
    parts.warn(`The cache was not saved: ${messageOf(error)}`);
    return { entries: done.length, bytes: sizeOf(done), indexSaved: false };
  }
}

/** After the first refusal nothing more is tried: the service may be limiting us. */
async function uploadAll(
  uploads: readonly Upload[],
  parts: SaveParts,
  { failed, done }: { readonly failed: Set<string>; readonly done: Upload[] },
): Promise<void> {
  const waiting = [...uploads];
  const work = async (): Promise<void> => {
    for (let upload = waiting.shift(); upload; upload = waiting.shift()) {
      const saved = failed.size === 0 && !parts.signal.aborted && (await uploadOne(upload, parts));
      if (saved) done.push(upload);
      else failed.add(upload.key);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}

async function uploadOne(upload: Upload, parts: SaveParts): Promise<boolean> {
  try {
    // Content-addressed, so another scope's entry is as good as ours.
    if (await ending(parts, parts.exists(upload))) return true;
    await lay(parts.folder, upload);
    const id = await ending(parts, parts.saveCache([upload.path], upload.key));
    return id >= 0 || (await ending(parts, parts.exists(upload)));
  } catch (error) {
    parts.warn(`A layer was not saved to the cache: ${messageOf(error)}`);
    return false;
  } finally {
    await rm(join(parts.folder, upload.path), { recursive: true, force: true }).catch(() => undefined);
  }
}

async function saveIndex(plan: SavePlan, document: CacheDocument, parts: SaveParts): Promise<boolean> {
  const { key, path } = indexName(plan.scope, parts.unique);
  await mkdir(join(parts.folder, path), { recursive: true });
  const text = signIndex(JSON.stringify(document), key, parts.signingKey);
  await writeFile(join(parts.folder, path, INDEX_FILE), text, { mode: 0o600 });
  return (await ending(parts, parts.saveCache([path], key))) >= 0;
}

/** The files of an entry as links: the store keeps its blobs, and nothing is written twice where both lie on one disk. */
async function lay(folder: string, { path, files }: Upload): Promise<void> {
  await mkdir(join(folder, path), { recursive: true, mode: 0o700 });
  for (const file of files) {
    const target = join(folder, path, file.name);
    await link(file.path, target).catch(() => copyFile(file.path, target));
  }
}

/** `act`, or the signal's reason as soon as there is one: the toolkit cannot be cancelled, and ends with the process. */
async function ending<T>({ signal }: SaveParts, act: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  return await new Promise<T>((resolve, reject) => {
    // The reason is what the caller gave, an error as a rule.
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    act.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function sizeOf(uploads: readonly Upload[]): number {
  return uploads.flatMap(({ files }) => files).reduce((sum, { size }) => sum + size, 0);
}

import { createHash } from 'node:crypto';

/** How the toolkit packs an archive; it is part of an entry's version. */
export type Compression = 'zstd-without-long' | 'gzip';

/** Changes when an old entry could not be read any more. */
const PREFIX = 'berth-v1';
/** The toolkit's salt. */
const SALT = '1.0';

/** An entry of the cache service: its key, and the one path that was packed. */
export interface EntryName {
  readonly key: string;
  /** Folder in the archive, relative to what the toolkit takes for the workspace. */
  readonly path: string;
}

/** Name of a scope: equal builds share one. */
export function scopeId(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** What all index entries of a scope begin with; the newest one counts. */
export function indexPrefix(scope: string): string {
  return `${PREFIX}-index-${scope}-`;
}

/** A fresh index entry: entries cannot be rewritten. */
export function indexName(scope: string, unique: string): EntryName {
  return { key: `${indexPrefix(scope)}${unique}`, path: 'index' };
}

/** An entry with one blob, by its content. */
export function blobName(hex: string): EntryName {
  const key = `${PREFIX}-blob-${hex}`;
  return { key, path: key };
}

/** An entry with several blobs, by their content. */
export function packName(hexes: readonly string[]): EntryName {
  const key = `${PREFIX}-pack-${createHash('sha256')
    .update([...hexes].sort().join())
    .digest('hex')}`;
  return { key, path: key };
}

/** The name again from a key that came out of an index. */
export function nameOfKey(key: string): EntryName {
  return { key, path: key };
}

/** What the service keeps apart equal keys by. Source: @actions/cache, getCacheVersion; spec/action.md 4. */
export function versionOf(path: string, compression: Compression): string {
  return createHash('sha256').update([path, compression, SALT].join('|')).digest('hex');
}

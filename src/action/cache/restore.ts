import { EngineError } from '../../../engine/index.ts';
import { readArchive } from './archive.ts';
import { INDEX_FILE, MAX_INDEX, parseDocument, type CacheDocument } from './document.ts';
import { download } from './download.ts';
import type { CacheHttp } from './http.ts';
import { indexPrefix, versionOf, type Compression } from './names.ts';
import type { CacheService, FoundEntry } from './service.ts';
import { verifyIndex } from './signature.ts';

/** What restoring goes through. */
export interface RestoreParts {
  readonly http: CacheHttp;
  readonly service: CacheService;
  /** The toolkit's choice on this machine first: most entries were made by its like. */
  readonly compressions: readonly Compression[];
  /** An index that is not signed with it is not read. */
  readonly signingKey?: string | undefined;
}

/** Newest index of the scope; undefined when there is none. @throws what the service, the archive, the signature and the document throw */
export async function restoreIndex(
  parts: RestoreParts,
  scope: string,
  signal: AbortSignal,
): Promise<CacheDocument | undefined> {
  for (const compression of parts.compressions) {
    const version = versionOf('index', compression);
    const find = (): Promise<FoundEntry | undefined> =>
      parts.service.find({ key: indexPrefix(scope), prefix: true, version }, { signal });
    const found = await find();
    if (found) return await readIndex(parts, found, async () => (await find())?.url, signal);
  }
  return undefined;
}

async function readIndex(
  { http, signingKey }: RestoreParts,
  { url, key }: FoundEntry,
  refresh: () => Promise<string | undefined>,
  signal: AbortSignal,
): Promise<CacheDocument> {
  const bytes = download(http, { url, refresh }, signal);
  for await (const { body } of readArchive(bytes, { path: 'index', files: new Map([[INDEX_FILE, MAX_INDEX]]) })) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return parseDocument(verifyIndex(Buffer.concat(chunks).toString('utf8'), key, signingKey));
  }
  throw new EngineError('CACHE_ARCHIVE', 'Cannot read a cache archive: it holds no index');
}

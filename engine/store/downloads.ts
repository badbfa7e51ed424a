import { join } from 'node:path';
import { digestOf, encodedOf, isDigest } from '../image/digest.ts';
import { isRecord, readJson, replaceFile } from './files.ts';

/** What is known of a URL that was read: its content, and by what the server tells whether it has changed. */
export interface DownloadRecord {
  readonly digest: string;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

/** `records/downloads/`: in each scope, and for all, one file a URL, named by a hash of both. What cannot be read is forgotten. */
export interface DownloadRecords {
  get(url: string): Promise<DownloadRecord | undefined>;
  put(url: string, record: DownloadRecord): Promise<void>;
}

/** @param scope whose records are written, and read before those of all; undefined: those of all */
export function createDownloadRecords(root: string, scope?: string): DownloadRecords {
  const pathOf = (url: string, of: string | undefined): string => {
    const what = of === undefined ? url : JSON.stringify([url, of]);
    return join(root, 'records', 'downloads', `${encodedOf(digestOf(what))}.json`);
  };
  const read = (path: string): DownloadRecord | undefined => {
    const file = readJson(path);
    return 'value' in file && isDownload(file.value) ? file.value : undefined;
  };
  return {
    get: async (url) => read(pathOf(url, scope)) ?? read(pathOf(url, undefined)),
    put: async (url, { digest, etag, lastModified }) =>
      replaceFile(pathOf(url, scope), JSON.stringify({ v: 1, digest, etag, lastModified }), { sync: false }),
  };
}

function isDownload(value: unknown): value is DownloadRecord {
  if (!isRecord(value) || !isDigest(value.digest)) return false;
  const { etag, lastModified } = value;
  return [etag, lastModified].every((one) => one === undefined || typeof one === 'string');
}

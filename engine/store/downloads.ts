import { join } from 'node:path';
import { digestOf, encodedOf, isDigest } from '../image/digest.ts';
import { isRecord, readJson, replaceFile } from './files.ts';

/** What is known of a URL that was read: its content, and by what the server tells whether it has changed. */
export interface DownloadRecord {
  readonly digest: string;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

/** `records/downloads/`: one file a URL, named by its hash. What cannot be read is forgotten. */
export interface DownloadRecords {
  get(url: string): Promise<DownloadRecord | undefined>;
  put(url: string, record: DownloadRecord): Promise<void>;
}

export function createDownloadRecords(root: string): DownloadRecords {
  const pathOf = (url: string): string => join(root, 'records', 'downloads', `${encodedOf(digestOf(url))}.json`);
  return {
    get: async (url) => {
      const file = await readJson(pathOf(url));
      return 'value' in file && isDownload(file.value) ? file.value : undefined;
    },
    put: async (url, { digest, etag, lastModified }) =>
      replaceFile(pathOf(url), JSON.stringify({ v: 1, digest, etag, lastModified }), { sync: false }),
  };
}

function isDownload(value: unknown): value is DownloadRecord {
  if (!isRecord(value) || !isDigest(value.digest)) return false;
  const { etag, lastModified } = value;
  return [etag, lastModified].every((one) => one === undefined || typeof one === 'string');
}

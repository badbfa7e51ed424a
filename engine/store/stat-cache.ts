import { join } from 'node:path';
import { digestOf, encodedOf } from '../image/digest.ts';
import { isRecord, readJson, replaceFile } from './files.ts';

/** Entries kept for one context; above it the cache begins anew rather than grow for ever. */
const MAX_ENTRIES = 500_000;

/** Content hashes of the files of one build context, below `records/context/`. What cannot be read is forgotten. */
export interface ContextHashes {
  load(): Promise<Map<string, string>>;
  save(entries: Map<string, string>): Promise<void>;
}

export function createContextHashes(root: string, contextPath: string): ContextHashes {
  const path = join(root, 'records', 'context', `${encodedOf(digestOf(contextPath))}.json`);
  return {
    load: async () => {
      const file = readJson(path);
      const entries = 'value' in file && isRecord(file.value) ? file.value.entries : undefined;
      if (!isRecord(entries)) return new Map();
      return new Map(
        Object.entries(entries).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
      );
    },
    save: async (entries) => {
      const kept = entries.size > MAX_ENTRIES ? [] : [...entries];
      await replaceFile(path, JSON.stringify({ v: 1, contextPath, entries: Object.fromEntries(kept) }), {
        sync: false,
      });
    },
  };
}

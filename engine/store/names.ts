import { join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { isDigest } from '../image/digest.ts';
import type { Digest } from '../image/types.ts';
import { isRecord, readJson, replaceFile } from './files.ts';

/** Image id by fully qualified name. */
export type Names = ReadonlyMap<string, Digest>;

/** `images/names.json`. What it holds is the user's: a broken file is an error, and the backup of the last write is named. */
export interface NameFile {
  read(): Promise<Names>;
  write(names: Names): Promise<void>;
}

export function createNameFile(root: string): NameFile {
  const path = join(root, 'images', 'names.json');
  return {
    read: async () => {
      const file = await readJson(path);
      if ('missing' in file) return new Map();
      const names = 'value' in file && isRecord(file.value) ? file.value.names : undefined;
      if (isRecord(names) && Object.values(names).every(isDigest))
        return new Map(Object.entries(names) as [string, Digest][]);
      throw new EngineError('STORE_CORRUPT', `Cannot read ${path}: it is not a list of names`, {
        hint: `Run \`berth system fsck --repair\`, which takes ${path}.bak`,
      });
    },
    write: async (names) => {
      const sorted = Object.fromEntries([...names].sort(([a], [b]) => (a < b ? -1 : 1)));
      await replaceFile(path, JSON.stringify({ v: 1, names: sorted }, null, 1), { backup: true });
    },
  };
}

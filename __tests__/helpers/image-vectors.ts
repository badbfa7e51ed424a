import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folder of the shared test vectors: BERTH_VECTORS, else `shared/data` beside the repository. */
const VECTORS = process.env['BERTH_VECTORS'] ?? join(import.meta.dirname, '../../../shared/data');

/** A file of vectors, or undefined when the folder is absent; callers say that they skip. */
export function readVectors<T>(path: string): T | undefined {
  const file = join(VECTORS, path);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined;
}

import { readdirSync, readFileSync } from 'node:fs';

/** Text of a small file of the system, read at once, since another thread takes longer to ask; `otherwise` where it cannot be read. */
export function textOf<T>(path: string, otherwise: T): string | T {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}

/** Names in a folder of the system, read at once; none where it cannot be read. */
export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DATA = process.env['BERTH_VECTORS'] ?? resolve(ROOT, '../shared/data');

/** Path of a vector file; the tables are read in place and are not part of this repository. */
export function vectorPath(...parts: readonly string[]): string {
  return resolve(DATA, ...parts);
}

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DATA = process.env['BERTH_VECTORS'] ?? resolve(ROOT, '../shared/data');

/** Path of a vector file; the tables are read in place and are not part of this repository. */
export function vectorPath(...parts: readonly string[]): string {
  return resolve(DATA, ...parts);
}

/** A vector file as JSON. The caller says its shape: the files are ours and described by their READMEs. */
export function readVectors<T>(...parts: readonly string[]): T {
  return JSON.parse(readFileSync(vectorPath(...parts), 'utf8')) as T;
}

/** A suite over a folder of vectors; when the folder is absent one skipped test says so. */
export function describeVectors(folder: string, suite: () => void): void {
  if (existsSync(vectorPath(folder))) describe(`vectors of ${folder}`, suite);
  else
    describe(`vectors of ${folder}`, () =>
      test.skip(`not found at ${vectorPath(folder)}: set BERTH_VECTORS`, () => undefined));
}

import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from '@jest/globals';
import { vectorPath } from './vector-path.ts';

export { vectorPath };

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

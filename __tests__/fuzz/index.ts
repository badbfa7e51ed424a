import { dockerfile } from './dockerfile.ts';
import { ignoreFile } from './ignore-file.ts';
import { mutated } from './mutate.ts';
import { createRandom } from './random.ts';
import { reference } from './reference.ts';
import type { FuzzTarget } from './target.ts';

export type { FuzzTarget };

/** Readers of text that others have written. */
export const TARGETS: readonly FuzzTarget[] = [dockerfile, ignoreFile, reference];

/** Text number `at` of the run with this seed. */
export function textOf({ material }: FuzzTarget, seed: number, at: number): string {
  return mutated(createRandom(seed, at), material);
}

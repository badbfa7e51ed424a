import type { Material } from './mutate.ts';

/** A parser under fuzz. */
export interface FuzzTarget {
  readonly name: string;
  readonly material: Material;
  /** Reads a text and holds what must be true of every text. @throws when it is not: anything that is thrown is a find */
  check(text: string): Promise<void> | void;
}

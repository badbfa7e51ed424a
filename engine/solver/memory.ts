import type { VertexId } from '../graph/types.ts';
import { chainOf } from './ref.ts';
import type { Key } from './key.ts';
import type { StepKey } from './step.ts';
import type { Ref } from './types.ts';

/**
 * What a build knows when it asks again, since steps that were found by their definition turned out to have files of another making of a RUN than
 * the rest. Each time it trusts fewer of them.
 */
export interface Memory {
  readonly executed: Set<VertexId>;
  /** Vertices that are said to be cached. */
  readonly told: Set<VertexId>;
  /** Steps whose definition does not count. */
  readonly mistrusted: Set<VertexId>;
  /** What steps without cache gave, by {@link placeOf} their key. */
  readonly made: Map<string, Ref>;
  /** What was done for its key, by {@link placeOf} its shape. */
  readonly firsts: Map<string, StepKey>;
}

export function createMemory(): Memory {
  return { executed: new Set(), told: new Set(), mistrusted: new Set(), made: new Map(), firsts: new Map() };
}

/** Where a build remembers what a step gave: by step, key and state below. */
export function placeOf({ id }: { readonly id: VertexId }, { key }: Key, base: Ref): string {
  return `${id} ${key} ${chainOf(base)}`;
}

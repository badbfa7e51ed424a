import type { VertexId } from '../graph/types.ts';
import type { Digest } from '../image/types.ts';
import type { Lineage } from '../store/types.ts';
import { stagesOf, type Step } from './step.ts';
import type { RecordKeys, Ref } from './types.ts';
import type { VertexIndex } from './vertex-index.ts';

/** What a RUN gave: its key, and its own layer. */
type Making = readonly [key: string, layer: Digest | null];

/** Which makings of RUNs the files of a run come from. */
export interface Lineages {
  /** A step has what its definition tells: its files came from these makings. */
  take(id: VertexId, lineage: Lineage): void;
  /** It does not: its stages are built. */
  forget(id: VertexId): void;
  /** What the RUNs gave that made the files which a step takes from stages. Its stages are solved, or its definition tells it. */
  of(step: Step): Lineage;
  /**
   * Those who took files from another making of a RUN than the rest of the build has: a RUN gives something else each time, and an image of which
   * one part has the files of one time and another part those of another is one that no build without cache would give. Where the build itself has
   * the RUN, what it has counts; else all who disagree are wrong, since nobody knows who is right. To be asked when all is done.
   */
  torn(): readonly VertexId[];
}

/** {@link Lineages} of what a run has found out: `refs` and `keys` grow meanwhile. */
export function createLineages(
  vertices: VertexIndex,
  {
    refs,
    keys,
  }: { readonly refs: ReadonlyMap<VertexId, Ref>; readonly keys: ReadonlyMap<VertexId, Pick<RecordKeys, 'key'>> },
): Lineages {
  const taken = new Map<VertexId, Lineage>();
  const makingOf = (id: VertexId): readonly Making[] => {
    if (vertices.get(id).op.type !== 'exec') return [];
    const [key, own] = [keys.get(id)?.key, refs.get(id)?.own];
    return key === undefined || own === undefined ? [] : [[key, own]];
  };
  /** What the RUNs gave that made the files of a vertex, which is solved. */
  const behind = (id: VertexId, visited: Set<VertexId>): readonly Making[] => {
    if (visited.has(id)) return [];
    visited.add(id);
    const vertex = vertices.get(id);
    const told = taken.get(id);
    const inputs = told ? vertex.inputs.slice(0, 1) : vertex.inputs;
    return [...inputs.flatMap((input) => behind(input, visited)), ...Object.entries(told ?? {}), ...makingOf(id)];
  };
  return {
    take: (id, lineage) => void taken.set(id, lineage),
    forget: (id) => void taken.delete(id),
    of: ({ id, op, inputs }) => {
      const told = taken.get(id);
      if (told) return toLineage(Object.entries(told));
      return toLineage(stagesOf(op).flatMap((index) => behind(inputs[index] ?? '', new Set())));
    },
    torn: () => tornBetween(taken, [...refs.keys()].flatMap(makingOf)),
  };
}

/** In one order, so that the same steps give the same record. */
function toLineage(makings: Iterable<Making>): Lineage {
  return Object.fromEntries([...new Map(makings)].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whose lineage disagrees with what was seen in this build, or with another one. */
function tornBetween(taken: ReadonlyMap<VertexId, Lineage>, seen: Iterable<Making>): readonly VertexId[] {
  const had = group(seen);
  const told = group([...taken.values()].flatMap((lineage) => Object.entries(lineage)));
  const isTorn = ([key, layer]: Making): boolean => {
    const here = had.get(key);
    return here ? !here.has(layer) : (told.get(key)?.size ?? 0) > 1;
  };
  return [...taken].flatMap(([id, lineage]) => (Object.entries(lineage).some(isTorn) ? [id] : []));
}

function group(makings: Iterable<Making>): ReadonlyMap<string, ReadonlySet<Digest | null>> {
  const groups = new Map<string, Set<Digest | null>>();
  for (const [key, layer] of makings) groups.set(key, (groups.get(key) ?? new Set()).add(layer));
  return groups;
}

import type { VertexId } from '../graph/types.ts';
import type { Digest } from '../image/types.ts';
import type { Lineage } from '../store/types.ts';

/** What a RUN gave: its key, and its own layer. */
export type Making = readonly [key: string, layer: Digest | null];

/** In one order, so that the same steps give the same record. */
export function toLineage(makings: Iterable<Making>): Lineage {
  return Object.fromEntries([...new Map(makings)].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Those who took files from another making of a RUN than the rest of the build has: a RUN gives something else each time, and an image of which one
 * part has the files of one time and another part those of another is one that no build without cache would give. Where the build itself has the
 * RUN, what it has counts; else all who disagree are wrong, since nobody knows who is right.
 *
 * @param taken of steps that were found by their definition, what the RUNs gave that their files came from
 * @param seen what RUNs gave in this build
 */
export function tornBetween(taken: ReadonlyMap<VertexId, Lineage>, seen: Iterable<Making>): readonly VertexId[] {
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

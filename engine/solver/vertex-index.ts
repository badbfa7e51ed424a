import type { Vertex, VertexId } from '../graph/types.ts';

/** The graph by id. What it lacks is a fault of who made it. */
export interface VertexIndex {
  get(id: VertexId): Vertex;
  inputOf(vertex: Vertex, index: number): VertexId;
  /** Whether the definition of a vertex says nothing about its result: it, or something below it, is built without cache. */
  isVolatile(id: VertexId): boolean;
  /** All that a vertex stands on or takes files from, near and far. */
  below(vertex: Vertex): ReadonlySet<VertexId>;
}

/** {@link VertexIndex} of a graph. */
export function createVertexIndex(all: readonly Vertex[]): VertexIndex {
  const byId = new Map(all.map((vertex) => [vertex.id, vertex]));
  const volatile = new Map<VertexId, boolean>();
  const get = (id: VertexId): Vertex => {
    const vertex = byId.get(id);
    if (!vertex) throw new Error(`The graph has no vertex ${id}`);
    return vertex;
  };
  const isVolatile = (id: VertexId): boolean => {
    const known = volatile.get(id);
    if (known !== undefined) return known;
    const { ignoreCache, inputs } = get(id);
    const answer = ignoreCache || inputs.some(isVolatile);
    volatile.set(id, answer);
    return answer;
  };
  return {
    get,
    inputOf: (vertex, index) => {
      const id = vertex.inputs[index];
      if (id === undefined) throw new Error(`Vertex ${vertex.name} has no input ${index}`);
      return id;
    },
    isVolatile,
    below: ({ inputs }) => {
      const found = new Set(inputs);
      // What is added is visited too.
      for (const id of found) for (const input of get(id).inputs) found.add(input);
      return found;
    },
  };
}

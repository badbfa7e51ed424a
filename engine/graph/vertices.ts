import type { Vertex, VertexId } from './types.ts';

/** The vertices of a graph under construction. */
export interface Vertices {
  /** Adds a vertex; one with an id that is there already is the same. */
  add(vertex: Vertex): VertexId;
  /** All of them, inputs first. */
  list(): readonly Vertex[];
}

/** {@link Vertices} without any. */
export function createVertices(): Vertices {
  const vertices = new Map<VertexId, Vertex>();
  return {
    add(vertex) {
      if (!vertices.has(vertex.id)) vertices.set(vertex.id, vertex);
      return vertex.id;
    },
    list: () => [...vertices.values()],
  };
}

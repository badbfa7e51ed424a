import type { VertexId } from '../graph/types.ts';
import type { Digest } from '../image/types.ts';
import { contentKey, execKey, imageKey, linkKey, scratchKey, type Key } from './key.ts';
import type { VertexIndex } from './vertex-index.ts';

/**
 * Makes what gives the key of a vertex without the content of any file: what every key has in common that it may have. Nothing is done or read
 * for it.
 */
export function createLooseKeys(vertices: VertexIndex): (id: VertexId) => Digest {
  const known = new Map<VertexId, Digest>();
  const looseKeyOf = (id: VertexId): Digest => {
    const found = known.get(id);
    if (found !== undefined) return found;
    const { key } = compute(id);
    known.set(id, key);
    return key;
  };
  const compute = (id: VertexId): Key => {
    const vertex = vertices.get(id);
    const { op, platform } = vertex;
    switch (op.type) {
      case 'scratch':
        return scratchKey();
      case 'image':
        return imageKey(op);
      case 'exec':
        return execKey(op, platform, looseKeyOf(vertices.inputOf(vertex, 0)));
      case 'file': {
        const below = looseKeyOf(vertices.inputOf(vertex, 0));
        return op.link ? linkKey(below, contentKey(op, [], scratchKey().key).key) : contentKey(op, [], below);
      }
    }
  };
  return looseKeyOf;
}

import canonicalize from 'canonicalize';
import { createHash } from 'node:crypto';
import type { Platform } from '../image/types.ts';
import type { FileAction, Op, VertexId } from './types.ts';

const VERSION = 'berth.vertex.v1';

/**
 * The id of a vertex: SHA-256 over version, definition and input ids, each framed by its length. Names, places, proxies and the base's
 * configuration are not part of the definition (spec/engine.md 4a).
 */
export function vertexId(op: Op, inputs: readonly VertexId[], platform: Platform): VertexId {
  const hash = createHash('sha256');
  for (const part of [VERSION, canonicalize(definitionOf(op, platform)) ?? '', ...inputs]) {
    const bytes = Buffer.from(part);
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(bytes.length));
    hash.update(length).update(bytes);
  }
  return `sha256:${hash.digest('hex')}`;
}

function definitionOf(op: Op, platform: Platform): unknown {
  switch (op.type) {
    case 'image':
      return { type: op.type, digest: op.manifest.digest, platform: op.platform };
    case 'scratch':
      return { type: op.type };
    case 'exec': {
      const { type, args, env, cwd, user, network, ulimits, extraHosts, hostname } = op;
      const mounts = op.mounts && op.mounts.length > 0 ? op.mounts : undefined;
      return { type, args, env, cwd, user, platform, mounts, network, ulimits, extraHosts, hostname };
    }
    case 'file':
      return { type: op.type, actions: op.actions.map(withoutPlace), ...(op.link ? { link: true } : {}) };
  }
}

function withoutPlace(action: FileAction): unknown {
  if (action.action === 'mkdir') return action;
  // What errors are told with is no part of it.
  const { location: _, ...rest } = action;
  if (rest.action !== 'copy') return rest;
  const { isMount: __, ...copy } = rest;
  return copy;
}

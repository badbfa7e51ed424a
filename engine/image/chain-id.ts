import { digestOf } from './digest.ts';
import type { Digest } from './types.ts';

/**
 * The id of a stack of layers, lowest first: the first diffId, then SHA-256 of `<chain id> <diffId>`. Undefined for no layers.
 * Source: image-spec, config.md, "Layer ChainID".
 */
export function chainId(diffIds: readonly Digest[]): Digest | undefined {
  return chainIds(diffIds).at(-1);
}

/** The chain id at each layer, lowest first. */
export function chainIds(diffIds: readonly Digest[]): readonly Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}

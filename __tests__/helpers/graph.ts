import { parse, parseStages } from '../../engine/dockerfile/index.ts';
import { resolveBases, toGraph, type Graph, type GraphOptions, type Resolver } from '../../engine/graph/index.ts';
import type { ContainerConfig, Digest } from '../../engine/image/types.ts';

/** What the tests build for. */
export const PLATFORM = { os: 'linux', architecture: 'amd64' } as const;

/** A resolver that knows every image; its digest comes from the reference, its config is given. */
export function createResolver(
  config: ContainerConfig = { Env: ['PATH=/usr/bin'] },
): Resolver & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async resolve(reference, platform) {
      asked.push(reference);
      const digest: Digest = `sha256:${Buffer.from(reference).toString('hex').padEnd(64, '0').slice(0, 64)}`;
      return {
        reference: `docker.io/library/${reference}`,
        manifest: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 },
        config: { ...platform, config, rootfs: { type: 'layers', diff_ids: [] } },
      };
    },
  };
}

/** The graph of a Dockerfile. */
export async function graphOf(
  text: string,
  options: Partial<GraphOptions> = {},
  resolver: Resolver = createResolver(),
): Promise<Graph> {
  const all = { platform: PLATFORM, ...options };
  const stages = parseStages(parse(text, { file: 'Dockerfile' }));
  return toGraph(await resolveBases(stages, resolver, all), all);
}

import { createHash } from 'node:crypto';
import { collect } from '../base/collect.ts';
import { EngineError } from '../base/errors.ts';
import { verify } from '../base/verify.ts';
import { MAX_CONFIG_SIZE, parseConfig } from './config.ts';
import { isAttestation } from './choose.ts';
import { requireImage } from './image-manifest.ts';
import { inflate } from './inflate.ts';
import { MAX_MANIFEST_SIZE, parseGraphNode } from './manifest.ts';
import { type Compression, compressionOf } from './media-type.ts';
import type { Descriptor, Digest, Fetcher, ImageConfig, Manifest } from './types.ts';

/** An image that was checked against itself. */
export interface ValidImage {
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/**
 * Reads every byte of an image, or of each image of an index, and checks that it is what it says: digests, sizes, schema, and each layer's
 * diffId by inflating it. The oracle at the end of every build test, and of `fsck`.
 *
 * @throws the first thing that doesn't hold
 */
export async function validateImage(
  content: Fetcher,
  root: Descriptor,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly ValidImage[]> {
  const what = `manifest ${root.digest}`;
  const bytes = await read(content, root, MAX_MANIFEST_SIZE, what, options.signal);
  const node = parseGraphNode(bytes, { what, mediaType: root.mediaType });
  if (node.kind === 'manifest') return [await validateManifest(content, node.manifest, what, options.signal)];
  const images: ValidImage[] = [];
  for (const entry of node.index.manifests) {
    if (!isAttestation(entry)) images.push(...(await validateImage(content, entry, options)));
  }
  return images;
}

async function validateManifest(
  content: Fetcher,
  manifest: Manifest,
  what: string,
  signal?: AbortSignal,
): Promise<ValidImage> {
  requireImage(manifest, what);
  const bytes = await read(content, manifest.config, MAX_CONFIG_SIZE, `config of ${what}`, signal);
  const config = parseConfig(bytes, { what: `config of ${what}`, layers: manifest.layers.length });
  for (const [i, layer] of manifest.layers.entries()) {
    const diffId = await diffIdOf(checked(content, layer, signal), compressionOf(layer.mediaType));
    const wanted = config.rootfs.diff_ids[i];
    if (diffId !== wanted) {
      throw new EngineError(
        'CONTENT_MISMATCH',
        `Cannot accept layer ${i + 1} of ${what}: its diffId is ${diffId}, and the config says ${wanted ?? 'none'}`,
      );
    }
  }
  return { manifest, config };
}

/** SHA-256 of a layer's plain tar. */
async function diffIdOf(source: AsyncIterable<Uint8Array>, compression: Compression): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of inflate(source, compression)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

function read(
  content: Fetcher,
  descriptor: Descriptor,
  limit: number,
  what: string,
  signal?: AbortSignal,
): Promise<Buffer> {
  return collect(checked(content, descriptor, signal), what, limit);
}

/** Verifies again what the source has promised to verify: an oracle trusts nobody. */
function checked(content: Fetcher, descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  return verify(content.fetch(descriptor, { signal }), descriptor);
}

import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeTar, type ArchiveEntry } from './archive/write.ts';
import { EngineError, isEngineError, messageOf } from './base/errors.ts';
import type { ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import type { BuildNamedContext, BuildRequest } from './engine.ts';
import type { NamedContext } from './graph/index.ts';
import { assembleIndex } from './image/assemble.ts';
import { isDigest } from './image/digest.ts';
import { parseGraphNode, parseIndex } from './image/manifest.ts';
import type { Digest, Platform } from './image/types.ts';
import { loadLocked } from './load.ts';
import type { IndexMember } from './store/index.ts';

/** Named contexts in the words of the graph: images, and files that are opened by the name. */
export function graphContexts(
  contexts: Readonly<Record<string, BuildNamedContext>>,
): Readonly<Record<string, NamedContext>> {
  return Object.fromEntries(
    Object.entries(contexts).map(([name, context]): [string, NamedContext] => [
      name,
      typeof context !== 'string' && context.type === 'image' ? context : { type: 'files' },
    ]),
  );
}

/**
 * The request with images in place of the OCI layouts among its named contexts: what they name is loaded into the store, whose lock is held,
 * so that none of it is pruned before it is used.
 *
 * @throws `CONTEXT_INVALID`, and the errors of loading an archive
 */
export async function withLayouts(
  parts: Parts,
  request: BuildRequest,
  { platforms, ...act }: ActOptions & { readonly platforms: readonly Platform[] },
): Promise<BuildRequest> {
  const entries = Object.entries(request.contexts ?? {});
  if (!entries.some(([, context]) => isLayout(context))) return request;
  const contexts: [string, BuildNamedContext][] = [];
  for (const [name, context] of entries) {
    contexts.push([name, isLayout(context) ? await loadLayout(parts, context, platforms, act) : context]);
  }
  return { ...request, contexts: Object.fromEntries(contexts) };
}

type Layout = Extract<BuildNamedContext, { readonly type: 'oci-layout' }>;

function isLayout(context: BuildNamedContext): context is Layout {
  return typeof context !== 'string' && context.type === 'oci-layout';
}

/** The image for each platform that the layout has; of several an index, which stands for all of them. */
async function loadLayout(
  parts: Parts,
  layout: Layout,
  platforms: readonly Platform[],
  act: ActOptions,
): Promise<BuildNamedContext> {
  const found = new Map<Digest, IndexMember>();
  for (const platform of platforms) {
    try {
      const [loaded] = await loadLocked(parts, writeTar(await entriesOf(layout)), { ...act, platform });
      const image = loaded && (await parts.store.images.resolve(loaded.id));
      if (image?.manifest) found.set(image.id, { id: image.id, manifest: image.manifest, platform: image.config });
    } catch (error) {
      // Whether a stage needs it for that platform is said there.
      if (!isEngineError(error, 'PLATFORM_NOT_FOUND') && !isEngineError(error, 'PLATFORM_MISMATCH')) throw error;
    }
  }
  const [first, ...others] = found.values();
  if (!first) return await loadOnly(parts, layout, act);
  if (others.length === 0) return { type: 'image', reference: first.id };
  const { descriptor, content } = assembleIndex([first, ...others]);
  await parts.store.content.write(descriptor.mediaType, content);
  await parts.store.images.putIndex({ descriptor, members: [first, ...others] });
  return { type: 'image', reference: descriptor.digest };
}

/** The one image of a layout, whatever it is for. */
async function loadOnly(parts: Parts, layout: Layout, act: ActOptions): Promise<BuildNamedContext> {
  const [image] = await loadLocked(parts, writeTar(await entriesOf(layout)), act);
  if (!image) throw invalid(layout, 'it holds no image for this machine');
  return { type: 'image', reference: image.id };
}

/** The layout's documents with the one image that is meant, and the blobs that it needs. */
async function entriesOf(layout: Layout): Promise<readonly ArchiveEntry[]> {
  const root = await read(layout, 'index.json');
  const index = parseIndex(root, { what: `the index of ${layout.path}`, mediaType: INDEX });

  const found = index.manifests.filter(
    ({ digest, annotations }) =>
      layout.reference === undefined ||
      digest === layout.reference ||
      annotations?.['org.opencontainers.image.ref.name'] === layout.reference,
  );
  const [chosen] = found;
  if (!chosen) throw invalid(layout, `it has no image ${layout.reference ?? ''}`);
  if (found.length > 1) throw invalid(layout, `it has ${found.length} images`, 'Name one: oci-layout://PATH:TAG');
  const { annotations: _, ...bare } = chosen;
  const only = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [bare] }));
  const documents = [
    { name: 'oci-layout', bytes: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { name: 'index.json', bytes: only },
  ];
  const blobs = await blobsOf(layout, chosen.digest, chosen.mediaType);
  return [
    ...documents.map(({ name, bytes }) => ({ name, size: bytes.length, content: bytes })),
    ...(await Promise.all([...blobs].map((digest) => blobEntry(layout, digest)))),
  ];
}

const INDEX = 'application/vnd.oci.image.index.v1+json';

/** A manifest and all that it names; of an index, what is in the layout. */
async function blobsOf(layout: Layout, digest: string, mediaType: string): Promise<ReadonlySet<string>> {
  const bytes = await read(layout, blobName(layout, digest));
  const node = parseGraphNode(bytes, { what: `the manifest ${digest}`, mediaType });
  if (node.kind === 'manifest') {
    return new Set([digest, node.manifest.config.digest, ...node.manifest.layers.map((layer) => layer.digest)]);
  }
  const below = await Promise.all(
    node.index.manifests.map(async (one) => {
      const isHere = await stat(join(layout.path, blobName(layout, one.digest))).then(
        () => true,
        () => false,
      );
      return isHere ? [...(await blobsOf(layout, one.digest, one.mediaType))] : [];
    }),
  );
  return new Set([digest, ...below.flat()]);
}

async function blobEntry(layout: Layout, digest: string): Promise<ArchiveEntry> {
  const name = blobName(layout, digest);
  const path = join(layout.path, name);
  const { size } = await stat(path).catch((cause: unknown) => {
    throw invalid(layout, `it has no blob ${digest}`, undefined, cause);
  });
  return { name, size, content: createReadStream(path) };
}

function blobName(layout: Layout, digest: string): string {
  if (isDigest(digest)) return `blobs/sha256/${digest.slice('sha256:'.length)}`;
  throw invalid(layout, `it names the blob ${digest}, which has no sha256 digest`);
}

async function read(layout: Layout, name: string): Promise<Buffer> {
  return await readFile(join(layout.path, name)).catch((cause: unknown) => {
    throw invalid(layout, messageOf(cause).split(',', 1)[0] ?? '', 'Give the directory of an OCI image layout', cause);
  });
}

function invalid({ path }: Layout, state: string, hint?: string, cause?: unknown): EngineError {
  return new EngineError('CONTEXT_INVALID', `Cannot use the OCI layout ${path} as context: ${state}`, { hint, cause });
}

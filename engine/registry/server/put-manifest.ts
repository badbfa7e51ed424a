import type { IncomingMessage, ServerResponse } from 'node:http';
import { collect } from '../../base/collect.ts';
import { isEngineError } from '../../base/errors.ts';
import { digestOf, isDigest } from '../../image/digest.ts';
import { childrenOf, type GraphNode, MAX_MANIFEST_SIZE, parseGraphNode } from '../../image/manifest.ts';
import { contentType, isForeignType, isGraphType } from '../../image/media-type.ts';
import type { Descriptor } from '../../image/types.ts';
import { Refusal } from './errors.ts';
import type { RegistryBackend } from './types.ts';

/** Takes a manifest when all it names is there. Source: distribution-spec, "Pushing Manifests". */
export async function putManifest(
  backend: RegistryBackend,
  name: { readonly repository: string; readonly reference: string },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { repository, reference } = name;
  const content = await read(request);
  const digest = digestOf(content);
  if (isDigest(reference) && reference !== digest)
    throw new Refusal('DIGEST_INVALID', `the manifest has the digest ${digest}`);
  const node = parse(content, request.headers['content-type']);
  const { subject } = node.kind === 'manifest' ? node.manifest : node.index;
  for (const child of childrenOf(node)) await requireChild(backend, repository, child);
  const descriptor: Descriptor = { mediaType: node.mediaType, digest, size: content.length };
  await backend.manifests.put(repository, { descriptor, content }, isDigest(reference) ? undefined : reference);
  response
    .writeHead(201, {
      location: `/v2/${repository}/manifests/${digest}`,
      'docker-content-digest': digest,
      'content-length': '0',
      ...(subject === undefined ? {} : { 'oci-subject': subject.digest }),
    })
    .end();
}

async function read(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_MANIFEST_SIZE) throw tooLarge();
  try {
    return await collect(request as AsyncIterable<Uint8Array>, 'the manifest', MAX_MANIFEST_SIZE);
  } catch (error) {
    throw isEngineError(error, 'TOO_LARGE') ? tooLarge() : error;
  }
}

function parse(content: Buffer, header: string | undefined): GraphNode {
  try {
    return parseGraphNode(content, { what: 'the manifest', mediaType: contentType(header) });
  } catch (error) {
    if (isEngineError(error)) throw new Refusal('MANIFEST_INVALID', error.message);
    throw error;
  }
}

async function requireChild(backend: RegistryBackend, repository: string, child: Descriptor): Promise<void> {
  // It lies elsewhere by its nature; whoever pulls fetches it from there.
  if (isForeignType(child.mediaType)) return;
  const size = isGraphType(child.mediaType)
    ? (await backend.manifests.get(repository, child.digest))?.descriptor.size
    : await backend.blobs.size(child.digest);
  if (size === undefined) throw new Refusal('MANIFEST_BLOB_UNKNOWN', `${child.digest} is not there; push it first`);
  if (size !== child.size)
    throw new Refusal('MANIFEST_INVALID', `${child.digest} has ${size} bytes, and the manifest says ${child.size}`);
}

function tooLarge(): Refusal {
  return new Refusal('SIZE_INVALID', `a manifest has at most ${MAX_MANIFEST_SIZE} bytes`, { connection: 'close' });
}

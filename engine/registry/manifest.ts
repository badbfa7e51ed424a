import { EngineError } from '../base/errors.ts';
import { digestOf, isDigest, parseDigest } from '../image/digest.ts';
import { TAG } from '../image/grammar.ts';
import { MAX_MANIFEST_SIZE, parseGraphNode } from '../image/manifest.ts';
import { contentType, isGraphType, MANIFEST_TYPES } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import type { BlobCall, Place } from './blob.ts';
import type { Answer } from './client.ts';
import { protocolError, RegistryError } from './errors.ts';
import { discard } from './transport.ts';

/** A manifest or index with its bytes. */
export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly content: Buffer;
}

/** Tag or digest, checked before it becomes part of a URL. @throws `REFERENCE_INVALID`, `DIGEST_INVALID` */
export function safeReference(text: string): string {
  if (text.includes(':')) return parseDigest(text, 'the digest of a manifest');
  if (TAG.test(text)) return text;
  throw new EngineError('REFERENCE_INVALID', `Cannot use '${text.slice(0, 140)}' as a tag: it isn't one`);
}

/**
 * The descriptor of a tag or digest by HEAD; undefined when the registry doesn't answer that usefully, and GET has to tell.
 * Source: distribution-spec, "Pulling manifests".
 */
export async function headManifest(
  { client, path }: Place,
  reference: string,
  call: BlobCall,
): Promise<Descriptor | undefined> {
  const { operation, scopes, signal } = call;
  const answer = await client.send(operation, {
    method: 'HEAD',
    target: `${path}/manifests/${safeReference(reference)}`,
    scopes,
    signal,
    headers: accept(),
    expect: [200, 403, 404, 405],
  });
  void discard(answer);
  const mediaType = contentType(answer.headers['content-type']);
  const size = Number(answer.headers['content-length'] ?? Number.NaN);
  const digest = isDigest(reference) ? reference : answer.headers['docker-content-digest'];
  const isUseful =
    answer.status === 200 &&
    mediaType !== undefined &&
    isGraphType(mediaType) &&
    isDigest(digest) &&
    Number.isSafeInteger(size);
  return isUseful ? { mediaType, digest, size } : undefined;
}

/**
 * Manifest or index, read whole, checked against the digest that was asked for, the header's and its own shape.
 *
 * @throws `IMAGE_NOT_FOUND`, `CONTENT_MISMATCH`, `TOO_LARGE`, the errors of a malformed document
 */
export async function getManifest(place: Place, reference: string, call: BlobCall): Promise<FetchedManifest> {
  const { client, path } = place;
  const { operation, scopes, signal } = call;
  const target = `${path}/manifests/${safeReference(reference)}`;
  const what = `the manifest of ${operation.act.replace(/^[a-z]+ /, '')}`;
  const request = { method: 'GET', target, scopes, signal, headers: accept(), expect: [200] } as const;
  const answer = await client.read(operation, request, what, MAX_MANIFEST_SIZE);
  const { content } = answer;
  const digest = checkDigest(answer, reference, content, call);
  const { mediaType } = parseGraphNode(content, { what, mediaType: contentType(answer.headers['content-type']) });
  return { descriptor: { mediaType, digest, size: content.length }, content };
}

/**
 * Source: distribution-spec, "Pushing manifests". A refusal names the tag: registries with immutable tags say no here, when all content is
 * there already.
 */
export async function putManifest(
  { client, path }: Place,
  reference: string,
  { descriptor, content }: FetchedManifest,
  call: BlobCall,
): Promise<void> {
  const { operation, scopes, signal } = call;
  try {
    const answer = await client.send(operation, {
      method: 'PUT',
      target: `${path}/manifests/${safeReference(reference)}`,
      scopes,
      signal,
      headers: { 'content-type': descriptor.mediaType, 'content-length': String(content.length) },
      body: () => content,
      answerWithin: client.timing.commit,
      expect: [201, 200, 202],
    });
    void discard(answer);
    const said = answer.headers['docker-content-digest'];
    if (said !== undefined && said !== descriptor.digest)
      throw protocolError(
        operation.act,
        `${answer.url.host} stored ${descriptor.digest} as ${String(said).slice(0, 100)}`,
      );
  } catch (error) {
    throw isDigest(reference) ? error : tagRefused(error, reference, descriptor.digest);
  }
}

function accept(): Record<string, string> {
  return { accept: MANIFEST_TYPES.join(', ') };
}

function checkDigest(answer: Answer, reference: string, content: Buffer, { operation }: BlobCall): Digest {
  const digest = digestOf(content);
  const header = answer.headers['docker-content-digest'];
  const wanted = isDigest(reference) ? reference : header;
  if (wanted === undefined || wanted === digest) return digest;
  const who = isDigest(reference) ? 'asked for' : 'announced';
  throw new EngineError(
    'CONTENT_MISMATCH',
    `Cannot ${operation.act}: ${answer.url.host} sent a manifest with digest ${digest}, ${who} was ${String(wanted).slice(0, 100)}`,
  );
}

function tagRefused(error: unknown, tag: string, digest: Digest): unknown {
  const isRefusal =
    error instanceof RegistryError && error.status !== undefined && [400, 403, 409].includes(error.status);
  if (!isRefusal) return error;
  return new RegistryError(error.code, `${error.message}, for the tag '${tag}'`, {
    status: error.status,
    errors: error.errors,
    hint:
      error.status === 409
        ? `The tag may be immutable; the image itself is there as ${digest}`
        : `${error.hint ?? 'The registry refused the tag'}; the image itself is there as ${digest}`,
    cause: error.cause,
  });
}

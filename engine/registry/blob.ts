import { verify } from '../base/verify.ts';
import type { Descriptor } from '../image/types.ts';
import type { Answer, Client } from './client.ts';
import { isTemporary, protocolError, RegistryError } from './errors.ts';
import { networkError, type Operation } from './failure.ts';
import { paced } from './pace.ts';
import { pause } from './pause.ts';
import { discard } from './transport.ts';
import type { Scope } from './auth.ts';

/** A repository at one endpoint. */
export interface Place {
  readonly client: Client;
  /** Path of the repository there: `library/python`. */
  readonly path: string;
}

export interface BlobCall {
  readonly operation: Operation;
  readonly scopes: readonly Scope[];
  readonly signal?: AbortSignal | undefined;
}

/** Broken answers in a row, without a new byte, before a download is given up. */
const MAX_FAILURES = 5;

/**
 * Whether the repository holds the blob. Source: distribution-spec, "Checking if content exists in the registry". A registry that doesn't
 * take HEAD counts as one without the blob: the upload tells more.
 */
export async function checkExistingBlob(
  { client, path }: Place,
  descriptor: Descriptor,
  call: BlobCall,
): Promise<boolean> {
  const { operation, scopes, signal } = call;
  const target = `${path}/blobs/${descriptor.digest}`;
  const answer = await client.send(operation, { method: 'HEAD', target, scopes, signal, expect: [200, 403, 404, 405] });
  const length = answer.headers['content-length'];
  void discard(answer);
  return answer.status === 200 && (length === undefined || Number(length) === descriptor.size);
}

/**
 * Opens a blob: the first answer comes before the promise resolves, so that a caller can still turn to another endpoint. Broken downloads go
 * on by Range where they broke; digest and size are checked over all that was given.
 *
 * Source: distribution-spec, "Pulling blobs".
 */
export async function openBlob(
  place: Place,
  descriptor: Descriptor,
  call: BlobCall,
): Promise<AsyncIterable<Uint8Array>> {
  const first = descriptor.size === 0 ? undefined : await requestBlob(place, descriptor, call, 0);
  return verify(download(place, descriptor, call, first), descriptor);
}

async function* download(
  place: Place,
  descriptor: Descriptor,
  call: BlobCall,
  first: Answer | undefined,
): AsyncGenerator<Uint8Array> {
  if (first === undefined) return;
  let offset = 0;
  let failures = 0;
  for (let answer: Answer | undefined = first; ; answer = undefined) {
    const before = offset;
    try {
      answer ??= await requestBlob(place, descriptor, call, offset);
      for await (const chunk of fromOffset(answer, offset, descriptor, place, call)) {
        offset += chunk.length;
        yield chunk;
      }
      if (offset >= descriptor.size) return;
      throw networkError(
        call.operation,
        answer.url,
        new Error(`it ended after ${offset} of ${descriptor.size} bytes`),
        true,
      );
    } catch (error) {
      call.signal?.throwIfAborted();
      failures = offset > before ? 1 : failures + 1;
      if (!isTemporary(error) || failures > MAX_FAILURES) throw error;
      await pause(place.client.timing, failures, error, call.signal);
    }
  }
}

/** One request for the bytes from `offset`; a registry that has forgotten how to serve ranges gives all of them. */
async function requestBlob(
  { client, path }: Place,
  { digest }: Descriptor,
  call: BlobCall,
  offset: number,
): Promise<Answer> {
  const { operation, scopes, signal } = call;
  const request = {
    method: 'GET',
    target: `${path}/blobs/${digest}`,
    scopes,
    signal,
    expect: [200, 206, 416],
  } as const;
  const answer = await client.send(operation, {
    ...request,
    headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
  });
  if (answer.status !== 416) return answer;
  void discard(answer);
  return client.send(operation, { ...request, expect: [200] });
}

/** The bytes from `offset` on, also out of an answer that starts at 0. */
async function* fromOffset(
  answer: Answer,
  offset: number,
  descriptor: Descriptor,
  { client }: Place,
  { operation, signal }: BlobCall,
): AsyncGenerator<Uint8Array> {
  let skip = offset - startOf(answer, offset, descriptor, operation);
  for await (const chunk of paced(answer, operation, client.timing, signal)) {
    if (skip < chunk.length) yield skip === 0 ? chunk : chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}

/** Where an answer starts. A 206 that starts elsewhere, or tells of another size, is not to be glued to what we have. */
function startOf(answer: Answer, offset: number, { digest, size }: Descriptor, operation: Operation): number {
  if (answer.status !== 206) return 0;
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(String(answer.headers['content-range']));
  const [start, total] = [Number(range?.[1]), range?.[2]];
  if (start === offset && (total === '*' || Number(total) === size)) return start;
  answer.body.on('error', () => undefined).destroy();
  throw protocolError(
    operation.act,
    `${answer.url.host} answered with the range '${String(answer.headers['content-range']).slice(0, 80)}' of ${digest}, asked from ${offset} of ${size}`,
  );
}

/** True for an answer that says that the thing isn't there. */
export function isMissing(error: unknown): boolean {
  return error instanceof RegistryError && error.status === 404;
}

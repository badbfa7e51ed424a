import type { Descriptor } from '../image/types.ts';
import type { Scope } from './auth.ts';
import { checkExistingBlob, type BlobCall, isMissing, type Place } from './blob.ts';
import { type ChunkReader, createChunkReader } from './chunks.ts';
import { type Answer, withRetry } from './client.ts';
import { isTemporary, protocolError, RegistryError } from './errors.ts';
import type { Operation } from './failure.ts';
import { isLinkLocal, isLoopback } from './host.ts';
import { pause } from './pause.ts';
import { discard } from './transport.ts';

export interface UploadCall extends BlobCall {
  /** Repositories at the same registry that may hold the blob. */
  readonly mountFrom: readonly string[];
  /** Blobs above it go up in pieces of that size. */
  readonly chunkSize: number;
  readonly onProgress?: ((current: number, total: number) => void) | undefined;
}

interface Session {
  readonly location: URL;
  /** The least that the registry takes as a piece (OCI-Chunk-Min-Length). */
  readonly minChunk: number;
}

/** Sessions that may be started for one blob. */
const MAX_SESSIONS = 4;
/** Pieces larger than that are no pieces; then the blob goes up as a whole. */
const MAX_CHUNK = 1024 * 1024 * 1024;
const MAX_MOUNTS = 3;
/** Answers to a piece that say "not like this", as opposed to "not now" or "not you". */
const NO_CHUNKS = new Set([400, 405, 411, 413, 415, 501]);

/**
 * Brings a blob into the repository. Source: distribution-spec, "Pushing blobs": is it there, can it be mounted, else an upload; a session
 * that the registry has lost is started again.
 */
export async function pushBlob(
  place: Place,
  descriptor: Descriptor,
  open: () => AsyncIterable<Uint8Array>,
  call: UploadCall,
): Promise<'pushed' | 'exists' | 'mounted'> {
  if (await checkExistingBlob(place, descriptor, call)) return 'exists';
  const mounted = await mountFromAny(place, descriptor, call);
  if (mounted === 'mounted') return 'mounted';
  const reader = createChunkReader(descriptor, open);
  let session = mounted;
  let inChunks = descriptor.size > call.chunkSize;
  const attempt = async (n: number): Promise<void> => {
    // The last attempt may have done it, with only its answer lost.
    if (n > 1 && (await checkExistingBlob(place, descriptor, call))) return;
    const current = session ?? (await initiateUpload(place, call));
    session = undefined;
    inChunks &&= current.minChunk <= MAX_CHUNK;
    const sent = inChunks
      ? await uploadChunks(place, descriptor, reader, current, call)
      : await uploadWhole(place, descriptor, reader, current, call);
    if (!sent) inChunks = false;
    if (!sent) await uploadWhole(place, descriptor, reader, await initiateUpload(place, call), call);
  };
  try {
    await withRetry(attempt, place.client.timing, call.signal, MAX_SESSIONS);
    return 'pushed';
  } finally {
    await reader.close();
  }
}

/** Source: distribution-spec, "Mounting a blob from another repository". A registry that can't mount gives the upload session that we'd need next. */
async function mountFromAny(
  place: Place,
  descriptor: Descriptor,
  call: UploadCall,
): Promise<'mounted' | Session | undefined> {
  let session: Session | undefined;
  for (const from of call.mountFrom.slice(0, MAX_MOUNTS)) {
    if (session !== undefined) await cancelUpload(place, session, call);
    const result = await mountBlob(place, descriptor, from, call);
    if (result === 'mounted') return result;
    session = result;
  }
  return session;
}

async function mountBlob(
  place: Place,
  { digest }: Descriptor,
  from: string,
  call: UploadCall,
): Promise<'mounted' | Session | undefined> {
  const { client, path } = place;
  const target = `${path}/blobs/uploads/?mount=${digest}&from=${encodeURIComponent(from)}`;
  const scopes: Scope[] = [...call.scopes, `repository:${from}:pull`];
  try {
    const answer = await client.send(call.operation, {
      ...post(call),
      target,
      scopes,
      expect: [201, 202],
      attempts: 2,
    });
    void discard(answer);
    return answer.status === 201 ? 'mounted' : sessionOf(answer, call.operation);
  } catch (error) {
    // A mount is a short cut: where it isn't allowed, the way round is.
    if (error instanceof RegistryError && error.status !== undefined && error.status < 500 && error.status !== 429)
      return undefined;
    throw error;
  }
}

async function initiateUpload({ client, path }: Place, call: UploadCall): Promise<Session> {
  const answer = await client.send(call.operation, {
    ...post(call),
    target: `${path}/blobs/uploads/`,
    scopes: call.scopes,
    expect: [202],
  });
  void discard(answer);
  return sessionOf(answer, call.operation);
}

/** Ends a session that isn't needed; a registry that can't is none of our concern. */
async function cancelUpload(
  { client }: Place,
  { location }: Session,
  { operation, scopes, signal }: UploadCall,
): Promise<void> {
  const call = {
    method: 'DELETE',
    target: location,
    scopes,
    signal,
    expect: [202, 204, 404, 405],
    attempts: 1,
  } as const;
  await client.send(operation, call).then(
    (answer) => discard(answer),
    () => undefined,
  );
}

/** POST then PUT. Source: distribution-spec, "Pushing a blob monolithically". */
async function uploadWhole(
  place: Place,
  descriptor: Descriptor,
  reader: ChunkReader,
  session: Session,
  call: UploadCall,
): Promise<true> {
  const { size } = descriptor;
  const body = (): AsyncIterable<Uint8Array> => counted(reader.read(0, size), 0, size, call);
  await commitBlob(place, descriptor, session.location, call, size, body);
  return true;
}

/**
 * Source: distribution-spec, "Pushing a blob in chunks". After a failure the registry is asked how far it has come.
 *
 * @returns false when the registry doesn't take pieces
 */
async function uploadChunks(
  place: Place,
  descriptor: Descriptor,
  reader: ChunkReader,
  session: Session,
  call: UploadCall,
): Promise<boolean> {
  const { size } = descriptor;
  const chunkSize = Math.max(call.chunkSize, session.minChunk);
  let { location } = session;
  let failures = 0;
  for (let offset = 0; offset < size;) {
    const length = Math.min(chunkSize, size - offset);
    try {
      const answer = await uploadChunk(place, descriptor, reader, location, offset, length, call);
      location = locationOf(answer, call.operation);
      const end = endOfRange(answer) ?? offset + length;
      if (end !== offset + length) ({ location, offset } = await uploadStatus(place, location, size, call));
      else offset = end;
      failures = 0;
    } catch (error) {
      if (offset === 0 && error instanceof RegistryError && NO_CHUNKS.has(error.status ?? 0)) return false;
      call.signal?.throwIfAborted();
      const isOutOfStep = error instanceof RegistryError && error.status === 416;
      failures += 1;
      if (isMissing(error)) throw lostSession(error);
      if (!(isOutOfStep || isTemporary(error)) || failures > 5) throw error;
      await pause(place.client.timing, failures, error, call.signal);
      ({ location, offset } = await uploadStatus(place, location, size, call));
    }
  }
  await commitBlob(place, descriptor, location, call);
  return true;
}

async function uploadChunk(
  { client }: Place,
  { size }: Descriptor,
  reader: ChunkReader,
  location: URL,
  offset: number,
  length: number,
  call: UploadCall,
): Promise<Answer> {
  const { operation, scopes, signal } = call;
  const answer = await client.send(operation, {
    method: 'PATCH',
    target: location,
    scopes,
    signal,
    attempts: 1,
    expect: [202, 201, 204],
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(length),
      'content-range': `${offset}-${offset + length - 1}`,
    },
    body: () => counted(reader.read(offset, length), offset, size, call),
    answerWithin: client.timing.commit,
  });
  void discard(answer);
  return answer;
}

/** How far the registry has come. Source: distribution-spec, "Pushing a blob in chunks", the GET after a failure. */
async function uploadStatus(
  { client }: Place,
  location: URL,
  size: number,
  call: UploadCall,
): Promise<{ location: URL; offset: number }> {
  const { operation, scopes, signal } = call;
  try {
    const answer = await client.send(operation, {
      method: 'GET',
      target: location,
      scopes,
      signal,
      expect: [204, 200, 202],
    });
    void discard(answer);
    const offset = endOfRange(answer) ?? 0;
    if (offset > size)
      throw protocolError(operation.act, `${answer.url.host} claims to have ${offset} bytes of a blob of ${size}`);
    return { location: answer.headers.location === undefined ? location : locationOf(answer, operation), offset };
  } catch (error) {
    // Whatever the reason, without an offset only a new session helps.
    throw error instanceof RegistryError && error.status !== undefined && error.status < 500
      ? lostSession(error)
      : error;
  }
}

/** Closes the upload, with the whole content as its body or none. Source: distribution-spec, the closing PUT. */
async function commitBlob(
  { client }: Place,
  { digest }: Descriptor,
  location: URL,
  call: UploadCall,
  length = 0,
  body?: () => AsyncIterable<Uint8Array>,
): Promise<void> {
  const { operation, scopes, signal } = call;
  try {
    const answer = await client.send(operation, {
      method: 'PUT',
      target: withDigest(location, digest),
      scopes,
      signal,
      attempts: 1,
      expect: [201, 204],
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(length) },
      body: length === 0 ? undefined : body,
      answerWithin: client.timing.commit,
    });
    void discard(answer);
    const said = answer.headers['docker-content-digest'];
    if (said !== undefined && said !== digest)
      throw protocolError(operation.act, `${answer.url.host} stored ${digest} as ${String(said).slice(0, 100)}`);
  } catch (error) {
    throw isMissing(error) ? lostSession(error) : error;
  }
}

function sessionOf(answer: Answer, operation: Operation): Session {
  const least = Number(answer.headers['oci-chunk-min-length']);
  return { location: locationOf(answer, operation), minChunk: Number.isSafeInteger(least) && least > 0 ? least : 0 };
}

/** Where the upload goes on: relative to the request, or anywhere, then without our credentials (the client sees to that). */
function locationOf(answer: Answer, { act }: Operation): URL {
  const { location } = answer.headers;
  const from = answer.url;
  if (location === undefined || !URL.canParse(location, from.href))
    throw protocolError(act, `${from.host} doesn't say where the upload goes on (no Location)`);
  const url = new URL(location, from.href);
  const refuse = (why: string): RegistryError =>
    protocolError(act, `${from.host} sends the upload to ${url.protocol}//${url.host}: ${why}`);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('only http(s) is followed');
  if (url.username !== '' || url.password !== '') throw refuse('it carries credentials');
  if (isLinkLocal(url.hostname)) throw refuse('that is a link-local address');
  if (isLoopback(url.hostname) && !isLoopback(from.hostname)) throw refuse('that is this machine');
  if (from.protocol === 'https:' && url.protocol === 'http:')
    throw refuse('TLS is never left (does its proxy set X-Forwarded-Proto?)');
  return url;
}

/** The offset after `Range: 0-<end>`. 0-0 is what registries say of nothing. */
function endOfRange(answer: Answer): number | undefined {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers.range ?? '');
  const end = Number(match?.[1]);
  return Number.isSafeInteger(end) ? (end === 0 ? 0 : end + 1) : undefined;
}

function withDigest(location: URL, digest: string): URL {
  const url = new URL(location);
  // Not by searchParams, which would write the registry's own parameters anew.
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}

function lostSession(error: unknown): RegistryError {
  if (!(error instanceof RegistryError)) throw error;
  return new RegistryError(error.code, error.message, {
    status: error.status,
    errors: error.errors,
    hint: error.hint,
    cause: error.cause,
    temporary: true,
  });
}

function post({ signal }: UploadCall): {
  readonly method: 'POST';
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal | undefined;
} {
  return { method: 'POST', headers: { 'content-length': '0' }, signal };
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  start: number,
  total: number,
  { onProgress }: UploadCall,
): AsyncGenerator<Uint8Array> {
  let current = start;
  for await (const chunk of source) {
    yield chunk;
    current += chunk.length;
    onProgress?.(current, total);
  }
}

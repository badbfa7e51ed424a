import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isEngineError } from '../../base/errors.ts';
import type { Digest } from '../../image/types.ts';
import { Refusal } from './errors.ts';
import { digestOf } from './route.ts';
import type { BlobIngest, RegistryBackend } from './types.ts';

/** Uploads under way. Source: distribution-spec, "Pushing blobs". */
export interface Uploads {
  start(repository: string, query: URLSearchParams, request: IncomingMessage, response: ServerResponse): Promise<void>;
  append(repository: string, session: string, request: IncomingMessage, response: ServerResponse): Promise<void>;
  finish(
    repository: string,
    session: string,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void>;
  status(repository: string, session: string, response: ServerResponse): void;
  cancel(repository: string, session: string, response: ServerResponse): Promise<void>;
  close(): Promise<void>;
}

interface Session {
  readonly id: string;
  readonly repository: string;
  readonly ingest: BlobIngest;
  size: number;
  isBusy: boolean;
  lastUsed: number;
}

const MAX_SESSIONS = 100;
/** Milliseconds after which a session that nobody has touched is forgotten; the store's ingest behind it may hold a lock. */
const IDLE = 600_000;

export function createUploads(backend: RegistryBackend): Uploads {
  const sessions = new Map<string, Session>();
  // Errors of a collection show again when the server closes.
  const collector = setInterval(() => void forgetIdle().catch(() => undefined), IDLE / 10).unref();

  const open = async (repository: string): Promise<Session> => {
    if (sessions.size >= MAX_SESSIONS)
      throw new Refusal('TOOMANYREQUESTS', 'too many uploads are under way', { 'retry-after': '5' });
    const session: Session = {
      id: randomUUID(),
      repository,
      ingest: await backend.blobs.ingest(),
      size: 0,
      isBusy: false,
      lastUsed: performance.now(),
    };
    sessions.set(session.id, session);
    return session;
  };
  const forgetIdle = async (): Promise<void> => {
    const now = performance.now();
    const idle = [...sessions.values()].filter((session) => !session.isBusy && now - session.lastUsed > IDLE);
    await Promise.all(idle.map(forget));
  };
  const forget = async (session: Session): Promise<void> => {
    sessions.delete(session.id);
    await session.ingest.abort();
  };
  const find = (repository: string, id: string): Session => {
    const session = sessions.get(id);
    if (session === undefined || session.repository !== repository)
      throw new Refusal('BLOB_UPLOAD_UNKNOWN', 'the upload is not known');
    if (session.isBusy) throw new Refusal('BLOB_UPLOAD_INVALID', 'another request of this upload is under way');
    return session;
  };
  const commit = async (session: Session, digest: Digest, response: ServerResponse): Promise<void> => {
    sessions.delete(session.id);
    try {
      await session.ingest.commit(digest);
    } catch (error) {
      if (isEngineError(error, 'CONTENT_MISMATCH'))
        throw new Refusal('DIGEST_INVALID', `the ${session.size} bytes that came are not ${digest}`);
      throw error;
    }
    created(session.repository, digest, response);
  };

  return {
    start: async (repository, query, request, response) => {
      const mount = query.get('mount');
      // All repositories share the blobs, so that `from` need not even be right.
      if (mount !== null && (await backend.blobs.size(digestOf(mount))) !== undefined)
        return created(repository, digestOf(mount), response);
      const session = await open(repository);
      const digest = query.get('digest');
      if (digest === null) return accepted(session, 202, response);
      await guarded(session, () => receive(session, request), forget);
      await commit(session, digestOf(digest), response);
    },
    append: async (repository, id, request, response) => {
      const session = find(repository, id);
      checkOrder(session, request);
      await guarded(session, () => receive(session, request));
      accepted(session, 202, response);
    },
    finish: async (repository, id, query, request, response) => {
      const session = find(repository, id);
      const digest = digestOf(query.get('digest'));
      checkOrder(session, request);
      await guarded(session, () => receive(session, request));
      await commit(session, digest, response);
    },
    status: (repository, id, response) => accepted(find(repository, id), 204, response),
    cancel: async (repository, id, response) => {
      await forget(find(repository, id));
      response.writeHead(204).end();
    },
    close: async () => {
      clearInterval(collector);
      await Promise.all([...sessions.values()].map(forget));
    },
  };
}

/** Marks the session while `act` runs; what came before a broken connection stays, and the client may ask how much it was. */
async function guarded(
  session: Session,
  act: () => Promise<void>,
  onError?: (session: Session) => Promise<void>,
): Promise<void> {
  session.isBusy = true;
  try {
    await act();
  } catch (error) {
    await onError?.(session);
    throw error;
  } finally {
    session.isBusy = false;
    session.lastUsed = performance.now();
  }
}

async function receive(session: Session, request: IncomingMessage): Promise<void> {
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    await session.ingest.write(chunk);
    session.size += chunk.length;
  }
}

/** A piece must start where the last one ended. Without Content-Range it is a stream, as Docker sends it. */
function checkOrder(session: Session, request: IncomingMessage): void {
  const header = request.headers['content-range'];
  if (header === undefined) return;
  const match = /^(?:bytes )?(\d+)-(\d+)(?:\/.*)?$/.exec(header);
  const [start, end] = [Number(match?.[1]), Number(match?.[2])];
  const length = request.headers['content-length'];
  const isWhole = length === undefined || Number(length) === end - start + 1;
  if (start === session.size && end >= start && isWhole) return;
  throw new Refusal('RANGE_INVALID', `the upload has ${session.size} bytes`, headersOf(session));
}

function accepted(session: Session, status: 202 | 204, response: ServerResponse): void {
  response.writeHead(status, { ...headersOf(session), ...(status === 202 ? { 'content-length': '0' } : {}) }).end();
}

function created(repository: string, digest: Digest, response: ServerResponse): void {
  response
    .writeHead(201, {
      location: `/v2/${repository}/blobs/${digest}`,
      'docker-content-digest': digest,
      'content-length': '0',
    })
    .end();
}

function headersOf(session: Session): Record<string, string> {
  return {
    location: `/v2/${session.repository}/blobs/uploads/${session.id}`,
    range: `0-${Math.max(0, session.size - 1)}`,
    'docker-upload-uuid': session.id,
  };
}

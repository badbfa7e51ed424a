import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EngineError } from '../../base/errors.ts';
import { Refusal, sendError } from './errors.ts';
import { createGuard, type Guard } from './guard.ts';
import { deleteManifest, sendCatalog, sendReferrers, sendTags } from './listing.ts';
import { sendBlob, sendManifest } from './pull.ts';
import { putManifest } from './put-manifest.ts';
import { parseRoute, type Route } from './route.ts';
import type { RegistryBackend, RegistryServerOptions, RunningRegistryServer } from './types.ts';
import { createUploads, type Uploads } from './uploads.ts';

/** Milliseconds without a byte after which a connection is closed. */
const IDLE = 120_000;

/**
 * Serves a content store over the distribution API: pulls, pushes, lists, referrers, and the deletion of tags and manifests.
 *
 * @throws `ADDRESS_IN_USE` and its like when it can't listen
 */
export async function createRegistryServer(
  backend: RegistryBackend,
  options: RegistryServerOptions = {},
): Promise<RunningRegistryServer> {
  const { host = '127.0.0.1', port = 0, auth, signal } = options;
  signal?.throwIfAborted();
  const uploads = createUploads(backend);
  const guard = createGuard(host, auth);
  const server = createServer((request, response) => void handle({ backend, uploads, guard }, request, response));
  // A large blob takes as long as it takes; silence doesn't.
  server.requestTimeout = 0;
  server.timeout = IDLE;
  await listen(server, host, port);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= stop(server, uploads));
  signal?.addEventListener('abort', () => void close(), { once: true });
  return { host, port: (server.address() as AddressInfo).port, close };
}

interface Parts {
  readonly backend: RegistryBackend;
  readonly uploads: Uploads;
  readonly guard: Guard;
}

async function handle(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  response.setHeader('x-content-type-options', 'nosniff');
  try {
    parts.guard(request);
    const url = new URL(request.url ?? '/', 'http://registry');
    await answer(parts, parseRoute(url.pathname), url.searchParams, request, response);
  } catch (error) {
    // The rest of a refused body is not waited for, and can't be taken for the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    sendError(response, error, request.method === 'HEAD');
  }
}

async function answer(
  parts: Parts,
  route: Route,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { backend, uploads } = parts;
  const method = request.method ?? '';
  const isRead = method === 'GET' || method === 'HEAD';
  if (route.kind === 'base' && isRead) return sendBase(response);
  if (route.kind === 'blob' && isRead) return sendBlob(backend, route.digest, request, response);
  if (route.kind === 'manifest' && isRead) return sendManifest(backend, route, request, response);
  if (route.kind === 'manifest' && method === 'PUT') return putManifest(backend, route, request, response);
  if (route.kind === 'tags' && method === 'GET') return sendTags(backend, route.repository, query, response);
  if (route.kind === 'catalog' && method === 'GET') return sendCatalog(backend, query, response);
  if (route.kind === 'referrers' && method === 'GET') return sendReferrers(backend, route, query, response);
  if (route.kind === 'manifest' && method === 'DELETE') return deleteManifest(backend, route, response);
  if (route.kind === 'uploads' && method === 'POST') return uploads.start(route.repository, query, request, response);
  if (route.kind === 'upload') {
    const { repository, session } = route;
    if (method === 'PATCH') return uploads.append(repository, session, request, response);
    if (method === 'PUT') return uploads.finish(repository, session, query, request, response);
    if (method === 'GET') return uploads.status(repository, session, response);
    if (method === 'DELETE') return uploads.cancel(repository, session, response);
  }
  throw new Refusal('UNSUPPORTED', `${method.slice(0, 20)} is not supported there`);
}

function sendBase(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '2' }).end('{}');
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const inUse = (cause as { readonly code?: unknown }).code === 'EADDRINUSE';
    const state = inUse ? 'the port is in use' : cause instanceof Error ? cause.message : String(cause);
    throw new EngineError(
      inUse ? 'ADDRESS_IN_USE' : 'ADDRESS_INVALID',
      `Cannot serve the registry on ${host}:${port}: ${state}`,
      {
        cause,
        hint: inUse ? 'Choose another port, or 0 for a free one' : undefined,
      },
    );
  }
}

async function stop(server: Server, uploads: Uploads): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
  await uploads.close();
}

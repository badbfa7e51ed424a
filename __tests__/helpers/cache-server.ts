import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server does wrong, for the tests of faults. Each names what it hits. */
export interface CacheFaults {
  /** Status for calls of the service. */
  service?:
    { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly msg?: string } | undefined;
  /** Calls of the service, or downloads, are never answered. */
  hang?: 'service' | 'download' | undefined;
  /** Downloads end after so many bytes; `resume` says whether a range continues them. */
  cut?: { readonly after: number; readonly resume: boolean } | undefined;
  /** One bit of each downloaded entry that holds this in its key is wrong. */
  flip?: string | undefined;
  /** Status for pieces that are uploaded by version 1. */
  upload?: number | undefined;
  /** Signed addresses are expired when they are given out, so many times. */
  expired?: number | undefined;
}

/** An entry of the cache, immutable once it is finalised. */
export interface CacheEntry {
  readonly id: number;
  readonly key: string;
  readonly version: string;
  readonly scope: string;
  readonly createdAt: number;
  content: Buffer | undefined;
  finalized: boolean;
}

/** A scope of a token, as the claim `ac` names it. Permission: 1 reads, 2 writes, 3 both. */
export interface Scope {
  readonly Scope: string;
  readonly Permission: number;
}

/** One request, for assertions. Secrets in it are the test's own. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** The Actions cache, versions 1 and 2, on loopback (spec/action.md 4): scopes, versions, immutability, blocks, ranges, signed addresses. */
export interface CacheServer {
  readonly url: string;
  readonly entries: readonly CacheEntry[];
  readonly requests: readonly SeenRequest[];
  readonly faults: CacheFaults;
  /** A runtime token; scopes in the order in which they are searched. */
  token(scopes: readonly Scope[]): string;
  /** Removes entries whose key contains `part`. */
  evict(part: string): number;
  forgetRequests(): void;
  close(): Promise<void>;
}

const OLD_SERVICE = '/_apis/artifactcache/';
const SERVICE = '/twirp/github.actions.results.api.v1.CacheService/';

/** Starts a server on a free port. @param given what it holds from the start, of another server */
export async function startCacheServer(given: readonly CacheEntry[] = []): Promise<CacheServer> {
  const entries: CacheEntry[] = given.map((entry) => ({ ...entry }));
  const requests: SeenRequest[] = [];
  const faults: CacheFaults = {};
  const uploads = new Map<string, CacheEntry>();
  const downloads = new Map<string, { readonly entry: CacheEntry; readonly expires: number }>();
  const blocks = new Map<number, Map<string, Buffer>>();
  let origin = '';

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', origin);
    const body = await readAll(request);
    requests.push({ method: request.method ?? '', path: url.pathname + url.search, headers: request.headers, body });
    if (url.pathname.startsWith(SERVICE)) return service(url.pathname.slice(SERVICE.length), request, body, response);
    if (url.pathname.startsWith(OLD_SERVICE)) return oldService(url, request, body, response);
    const signature = url.searchParams.get('sig') ?? '';
    if (request.method === 'PUT') return upload(url, signature, body, response);
    return download(request, signature, response);
  };

  const service = (method: string, request: IncomingMessage, body: Buffer, response: ServerResponse): void => {
    if (faults.hang === 'service') return;
    if (faults.service) {
      const { status, headers = {}, msg = 'a fault of the test' } = faults.service;
      return json(response, status, { code: 'unavailable', msg }, headers);
    }
    const scopes = scopesOf(request.headers.authorization);
    if (!scopes) return json(response, 401, { code: 'unauthenticated', msg: 'no valid token' });
    const message = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    switch (method) {
      case 'GetCacheEntryDownloadURL':
        return find(scopes, message, response);
      case 'CreateCacheEntry':
        return create(scopes, message, response);
      case 'FinalizeCacheEntryUpload':
        return finalize(scopes, message, response);
      default:
        return json(response, 404, { code: 'bad_route', msg: `no method ${method}` });
    }
  };

  /** Version 1: plain HTTP, with the number of an entry where version 2 has a signed address to upload to. */
  const oldService = (url: URL, request: IncomingMessage, body: Buffer, response: ServerResponse): void => {
    if (faults.hang === 'service') return;
    if (faults.service) return json(response, faults.service.status, { message: 'a fault of the test' });
    const scopes = scopesOf(request.headers.authorization);
    if (!scopes) return json(response, 401, { message: 'no valid token' });
    if (request.headers.accept !== 'application/json;api-version=6.0-preview.1')
      return json(response, 400, { message: `no version of the interface: ${request.headers.accept}` });
    const [resource = '', id = ''] = url.pathname.slice(OLD_SERVICE.length).split('/');
    const entry = entries.find((one) => String(one.id) === id);
    const message = (): Record<string, unknown> => JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    switch (`${request.method} ${resource}`) {
      case 'GET cache': {
        const [key, ...restoreKeys] = (url.searchParams.get('keys') ?? '').split(',');
        const asked = { key, restore_keys: restoreKeys, version: url.searchParams.get('version') };
        const readable = scopes.filter(({ Permission }) => (Permission & 1) === 1);
        const found = match(entries, readable, asked);
        if (!found) return void response.writeHead(204).end();
        return json(response, 200, { cacheKey: found.key, scope: found.scope, archiveLocation: addressOf(found) });
      }
      case 'POST caches': {
        const [own] = scopes.filter(({ Permission }) => (Permission & 2) === 2);
        if (entry) {
          if (message()['size'] !== entry.content?.length) return json(response, 400, { message: 'size differs' });
          entry.finalized = true;
          return void response.writeHead(204).end();
        }
        if (!own) return json(response, 403, { message: 'cache write denied: the token is read-only' });
        const { key, version } = message();
        const made = reserve(String(key), String(version), own.Scope);
        return made ? json(response, 201, { cacheId: made.id }) : json(response, 409, { message: 'already exists' });
      }
      case 'PATCH caches': {
        if (faults.upload !== undefined) return json(response, faults.upload, { message: 'a fault of the test' });
        const range = /^bytes (\d+)-(\d+)\/\*$/.exec(request.headers['content-range'] ?? '');
        const [start, end] = [Number(range?.[1]), Number(range?.[2])];
        if (!entry || entry.finalized || end - start + 1 !== body.length)
          return json(response, 400, { message: 'bad piece' });
        const content = Buffer.alloc(Math.max(end + 1, entry.content?.length ?? 0));
        entry.content?.copy(content);
        body.copy(content, start);
        entry.content = content;
        return void response.writeHead(204).end();
      }
      default:
        return json(response, 404, { message: `no ${request.method} ${resource}` });
    }
  };

  /** Undefined where there is one of that name already. */
  const reserve = (key: string, version: string, scope: string): CacheEntry | undefined => {
    if (entries.some((entry) => entry.key === key && entry.version === version && entry.scope === scope))
      return undefined;
    const createdAt = performance.now();
    const id = entries.length + 1;
    const entry: CacheEntry = { id, key, version, scope, createdAt, content: undefined, finalized: false };
    entries.push(entry);
    return entry;
  };

  /** A signed address of an entry's content. */
  const addressOf = (entry: CacheEntry): string => {
    const signature = randomBytes(16).toString('hex');
    const expired = (faults.expired ?? 0) > 0;
    if (expired) faults.expired = (faults.expired ?? 0) - 1;
    downloads.set(signature, { entry, expires: expired ? 0 : Date.now() + 600_000 });
    return `${origin}/acct/cache/${entry.id}?se=${encodeURIComponent(new Date().toISOString())}&sp=r&sig=${signature}`;
  };

  const find = (scopes: readonly Scope[], message: Record<string, unknown>, response: ServerResponse): void => {
    const readable = scopes.filter(({ Permission }) => (Permission & 1) === 1);
    if (readable.length === 0)
      return json(response, 403, { code: 'permission_denied', msg: 'cache read denied: no readable scopes' });
    const found = match(entries, readable, message);
    if (!found) return json(response, 200, { ok: false });
    return json(response, 200, { ok: true, signed_download_url: addressOf(found), matched_key: found.key });
  };

  const create = (scopes: readonly Scope[], message: Record<string, unknown>, response: ServerResponse): void => {
    const [own] = scopes.filter(({ Permission }) => (Permission & 2) === 2);
    if (!own)
      return json(response, 403, { code: 'permission_denied', msg: 'cache write denied: the token is read-only' });
    const [key, version] = [String(message['key']), String(message['version'])];
    if (key.length > 512 || key.includes(',')) return json(response, 400, { code: 'invalid_argument', msg: 'bad key' });
    const entry = reserve(key, version, own.Scope);
    if (!entry) {
      return json(response, 409, {
        code: 'already_exists',
        msg: 'cache entry with the same key, version, and scope already exists',
      });
    }
    const signature = randomBytes(16).toString('hex');
    uploads.set(signature, entry);
    return json(response, 200, {
      ok: true,
      signed_upload_url: `${origin}/acct/cache/${entry.id}?sp=w&sig=${signature}`,
    });
  };

  const finalize = (scopes: readonly Scope[], message: Record<string, unknown>, response: ServerResponse): void => {
    const writable = scopes.filter(({ Permission }) => (Permission & 2) === 2).map(({ Scope }) => Scope);
    const entry = entries.find(
      ({ key, version, scope }) => key === message['key'] && version === message['version'] && writable.includes(scope),
    );
    if (!entry?.content) return json(response, 404, { code: 'not_found', msg: 'no such upload' });
    if (String(entry.content.length) !== message['size_bytes'])
      return json(response, 200, { ok: false, message: 'size differs' });
    entry.finalized = true;
    return json(response, 200, { ok: true, entry_id: String(entry.id) });
  };

  const upload = (url: URL, signature: string, body: Buffer, response: ServerResponse): void => {
    const entry = uploads.get(signature);
    if (!entry || entry.finalized) return void response.writeHead(403).end();
    const headers = {
      'x-ms-request-id': randomUUID(),
      etag: `"${randomUUID()}"`,
      'last-modified': new Date().toUTCString(),
    };
    const parts = blocks.get(entry.id) ?? new Map<string, Buffer>();
    blocks.set(entry.id, parts);
    const comp = url.searchParams.get('comp');
    if (comp === 'block') parts.set(url.searchParams.get('blockid') ?? '', body);
    else if (comp === 'blocklist') {
      const ids = [...body.toString('utf8').matchAll(/<Latest>([^<]*)<\/Latest>/g)].map(([, id = '']) => id);
      const missing = ids.filter((id) => !parts.has(id));
      if (missing.length > 0) return void response.writeHead(400, headers).end();
      entry.content = Buffer.concat(ids.map((id) => parts.get(id) ?? Buffer.alloc(0)));
    } else entry.content = body;
    const md5 = createHash('md5').update(body).digest('base64');
    response.writeHead(201, { ...headers, 'content-md5': md5 }).end();
  };

  const download = (request: IncomingMessage, signature: string, response: ServerResponse): void => {
    const granted = downloads.get(signature);
    if (!granted || granted.expires < Date.now()) return void response.writeHead(403).end('expired');
    if (faults.hang === 'download') return;
    const { entry } = granted;
    if (!entries.includes(entry) || !entry.content) return void response.writeHead(404).end();
    const content = faults.flip && entry.key.includes(faults.flip) ? flipped(entry.content) : entry.content;
    const range = /^bytes=(\d+)-(\d*)$/.exec(String(request.headers['x-ms-range'] ?? request.headers['range'] ?? ''));
    if (range && faults.cut && !faults.cut.resume) return void response.writeHead(503).end();
    const start = range ? Number(range[1]) : 0;
    const end = range?.[2] ? Number(range[2]) : content.length - 1;
    const part = content.subarray(start, end + 1);
    response.writeHead(range ? 206 : 200, {
      'content-length': part.length,
      'accept-ranges': 'bytes',
      ...(range ? { 'content-range': `bytes ${start}-${end}/${content.length}` } : {}),
    });
    if (request.method === 'HEAD') return void response.end();
    if (!faults.cut || part.length <= faults.cut.after) return void response.end(part);
    response.write(part.subarray(0, faults.cut.after), () => response.destroy());
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) json(response, 500, { code: 'internal', msg: String(error) });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${origin}/`,
    entries,
    requests,
    faults,
    token: tokenOf,
    evict: (part) => {
      const before = entries.length;
      for (let at = entries.length - 1; at >= 0; at -= 1) if (entries[at]?.key.includes(part)) entries.splice(at, 1);
      return before - entries.length;
    },
    forgetRequests: () => void requests.splice(0),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Scopes in order; in each the exact key, its prefix, then each restore key, the newest first. */
function match(
  entries: readonly CacheEntry[],
  scopes: readonly Scope[],
  message: Record<string, unknown>,
): CacheEntry | undefined {
  const keys = [String(message['key']), ...((message['restore_keys'] as string[] | undefined) ?? [])];
  for (const { Scope } of scopes) {
    const own = entries
      .filter((entry) => entry.finalized && entry.scope === Scope && entry.version === message['version'])
      .toSorted((a, b) => b.createdAt - a.createdAt);
    for (const key of keys) {
      const found = own.find((entry) => entry.key === key) ?? own.find((entry) => entry.key.startsWith(key));
      if (found) return found;
    }
  }
  return undefined;
}

function flipped(content: Buffer): Buffer {
  const copy = Buffer.from(content);
  const at = Math.floor(copy.length / 2);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** Not signed: clients take it as opaque. */
function tokenOf(scopes: readonly Scope[]): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 6 * 3600;
  return `${part({ alg: 'none' })}.${part({ exp, repository_id: '1', ac: JSON.stringify(scopes) })}.${randomBytes(12).toString('base64url')}`;
}

function scopesOf(authorization: string | undefined): readonly Scope[] | undefined {
  const payload = /^Bearer [^.]+\.([^.]+)\./.exec(authorization ?? '')?.[1];
  if (payload === undefined) return undefined;
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { readonly ac?: string };
  return JSON.parse(claims.ac ?? '[]') as readonly Scope[];
}

function json(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

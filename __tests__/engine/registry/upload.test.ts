import { afterEach, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { digestOf } from '../../../engine/image/digest.ts';
import { OCI_MANIFEST } from '../../../engine/image/media-type.ts';
import { createRegistryBench, failureOf } from '../../helpers/registry-bench.ts';
import { type Script, type SeenRequest, sendJson } from '../../helpers/scripted-server.ts';
import type { ServerResponse } from 'node:http';

const bench = createRegistryBench();
afterEach(() => bench.clear());

const BLOB = randomBytes(100_000);
const DESCRIPTOR = { mediaType: 'application/octet-stream', digest: digestOf(BLOB), size: BLOB.length };
const CHUNK = 30_000;

async function* source(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < BLOB.length; at += 7_000) yield BLOB.subarray(at, at + 7_000);
}

/** An upload of a small faithful registry; `bend` may answer a request in its place, by returning true. */
function uploads(
  bend: (request: SeenRequest, response: ServerResponse, state: State) => boolean | void,
): Script & { readonly state: State } {
  const state: State = { sessions: 0, open: undefined, content: Buffer.alloc(0), done: undefined };
  const script: Script = (request, response) => {
    if (bend(request, response, state)) return;
    const headers = { location: `/up/${state.sessions}`, range: `0-${Math.max(0, state.content.length - 1)}` };
    if (request.url === '/v2/') return sendJson(response, 200, {});
    if (request.method === 'HEAD') return void response.writeHead(state.done === undefined ? 404 : 200).end();
    if (request.method === 'POST') {
      state.sessions += 1;
      state.open = state.sessions;
      state.content = Buffer.alloc(0);
      return void response.writeHead(202, { location: `/up/${state.sessions}?_state=a%2Bb` }).end();
    }
    if (!request.url.startsWith(`/up/${state.open}`)) return void response.writeHead(404).end();
    if (request.method === 'GET') return void response.writeHead(204, headers).end();
    const start = /^(\d+)-/.exec(String(request.headers['content-range']))?.[1];
    if (start !== undefined && Number(start) !== state.content.length)
      return void response.writeHead(416, headers).end();
    state.content = Buffer.concat([state.content, request.body]);
    if (request.method === 'PATCH')
      return void response.writeHead(202, { ...headers, range: `0-${state.content.length - 1}` }).end();
    const digest = decodeURIComponent(/digest=([^&]*)/.exec(request.url)?.[1] ?? '');
    if (digestOf(state.content) !== digest) return sendJson(response, 400, { errors: [{ code: 'DIGEST_INVALID' }] });
    state.done = state.content;
    response.writeHead(201).end();
  };
  return Object.assign(script, { state });
}

interface State {
  sessions: number;
  open: number | undefined;
  content: Buffer;
  done: Buffer | undefined;
}

async function push(script: Script, chunkSize = CHUNK) {
  const server = await bench.server(script);
  const repository = bench.client({ chunkSize }).repository(`${server.address}/a`);
  const result = repository.push(DESCRIPTOR, source);
  result.catch(() => undefined);
  return { result, server };
}

/** True once, then never again. */
function once(): () => boolean {
  let done = false;
  return () => !done && (done = true);
}

describe('an upload', () => {
  test('goes in pieces, keeps the parameters of the registry, and ends with the digest', async () => {
    const script = uploads(() => undefined);
    const { result, server } = await push(script);
    expect(await result).toBe('pushed');
    expect(digestOf(script.state.done ?? '')).toBe(DESCRIPTOR.digest);
    const ranges = server.seen
      .filter(({ method }) => method === 'PATCH')
      .map(({ headers }) => headers['content-range']);
    expect(ranges).toEqual(['0-29999', '30000-59999', '60000-89999', '90000-99999']);
    expect(server.lines().at(-1)).toBe(`PUT /up/1?digest=${encodeURIComponent(DESCRIPTOR.digest)}`);
    expect(server.lines()).toContain('PATCH /up/1?_state=a%2Bb');
  });

  test('of a small blob is one PUT', async () => {
    const script = uploads(() => undefined);
    const { result, server } = await push(script, BLOB.length);
    await result;
    expect(server.seen.map(({ method }) => method)).toEqual(['GET', 'HEAD', 'POST', 'PUT']);
    expect(digestOf(script.state.done ?? '')).toBe(DESCRIPTOR.digest);
  });

  test('is no upload where the blob is', async () => {
    const script = uploads((request, response) => {
      if (request.method !== 'HEAD') return;
      response.writeHead(200, { 'content-length': String(BLOB.length) }).end();
      return true;
    });
    expect(await (await push(script)).result).toBe('exists');
  });

  test('goes on where the registry says after a broken piece', async () => {
    const broken = once();
    const script = uploads((request, response, state) => {
      if (request.method !== 'PATCH' || state.content.length !== 30_000 || !broken()) return;
      state.content = Buffer.concat([state.content, request.body.subarray(0, 10_000)]);
      response.destroy();
      return true;
    });
    const { result, server } = await push(script);
    expect(await result).toBe('pushed');
    expect(script.state.sessions).toBe(1);
    expect(digestOf(script.state.done ?? '')).toBe(DESCRIPTOR.digest);
    expect(server.seen.map(({ headers }) => headers['content-range'])).toContain('40000-69999');
  });

  test('goes on where the registry says when it took less than it got', async () => {
    const less = once();
    const script = uploads((request, response, state) => {
      if (request.method !== 'PATCH' || !less()) return;
      state.content = request.body.subarray(0, 12_345);
      response.writeHead(202, { location: '/up/1', range: '0-12344' }).end();
      return true;
    });
    expect(await (await push(script)).result).toBe('pushed');
    expect(digestOf(script.state.done ?? '')).toBe(DESCRIPTOR.digest);
  });

  test('starts again when the registry has lost the session', async () => {
    const script = uploads((request, _, state) => {
      if (request.method === 'PATCH' && state.sessions === 1 && state.content.length > 0) state.open = undefined;
    });
    expect(await (await push(script)).result).toBe('pushed');
    expect(script.state.sessions).toBe(2);
    expect(digestOf(script.state.done ?? '')).toBe(DESCRIPTOR.digest);
  });

  test('is given up when every session is lost', async () => {
    const script = uploads((request, _, state) => {
      if (request.method === 'PATCH') state.open = undefined;
    });
    const { result, server } = await push(script);
    const error = await failureOf(result);
    expect(error).toMatchObject({ code: 'REGISTRY_NOT_FOUND', status: 404 });
    expect(error.message).toContain(`push blob ${DESCRIPTOR.digest} to ${server.address}/a`);
    expect(script.state.sessions).toBe(4);
  });

  test('goes as a whole where pieces are not taken', async () => {
    const script = uploads((request, response) => {
      if (request.method !== 'PATCH') return;
      response.writeHead(405).end();
      return true;
    });
    expect(await (await push(script)).result).toBe('pushed');
    expect(digestOf(script.state.done ?? '')).toBe(DESCRIPTOR.digest);
  });

  test.each([
    ['40000', ['0-39999', '40000-79999', '80000-99999']],
    ['nonsense', ['0-29999', '30000-59999', '60000-89999', '90000-99999']],
    ['5368709120', []],
  ])('heeds OCI-Chunk-Min-Length %s', async (least, ranges) => {
    const script = uploads((request, response, state) => {
      if (request.method !== 'POST') return;
      state.sessions = state.open = 1;
      response.writeHead(202, { location: '/up/1', 'oci-chunk-min-length': least }).end();
      return true;
    });
    const { result, server } = await push(script);
    expect(await result).toBe('pushed');
    expect(
      server.seen.filter(({ method }) => method === 'PATCH').map(({ headers }) => headers['content-range']),
    ).toEqual(ranges);
  });

  test('to another host carries none of our credentials', async () => {
    const storage = await bench.server((_, response) => void response.writeHead(201).end());
    const server = await bench.server((request, response) => {
      if (request.authorization === undefined) response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      else if (request.method === 'POST')
        response.writeHead(202, { location: `http://${storage.address}/put?sig=1` }).end();
    });
    const client = bench.client({ credentials: async () => ({ username: 'me', password: 'canary' }) });
    await client.repository(`${server.address}/a`).push(DESCRIPTOR, source);
    expect(storage.seen.map(({ method, url, authorization }) => [method, url.split('&')[0], authorization])).toEqual([
      ['PUT', '/put?sig=1', undefined],
    ]);
    expect(digestOf(storage.seen[0]?.body ?? '')).toBe(DESCRIPTOR.digest);
  });

  test.each<[string, string | undefined, string]>([
    ['without a Location', undefined, 'no Location'],
    ['to a file', 'file:///etc/passwd', 'only http(s)'],
    ['with credentials in its Location', 'http://me:pw@127.0.0.1/x', 'carries credentials'],
    ['to a metadata service', 'http://169.254.169.254/x', 'link-local'],
  ])('%s is refused', async (_, location, text) => {
    const script = uploads((request, response) => {
      if (request.method !== 'POST') return;
      response.writeHead(202, location === undefined ? {} : { location }).end();
      return true;
    });
    expect((await failureOf((await push(script)).result)).message).toContain(text);
  });

  test('of a source that is not what its descriptor says fails as such', async () => {
    const server = await bench.server(uploads(() => undefined));
    const repository = bench.client({ chunkSize: CHUNK }).repository(`${server.address}/a`);
    const short = async function* (): AsyncGenerator<Uint8Array> {
      yield BLOB.subarray(0, 40_000);
    };
    expect(await failureOf(repository.push(DESCRIPTOR, short))).toMatchObject({ code: 'CONTENT_MISMATCH' });
  });

  test('whose answer was lost is found to be done', async () => {
    const lost = once();
    const script = uploads((request, response, state) => {
      if (request.method !== 'PUT' || !lost()) return;
      state.done = request.body;
      response.destroy();
      return true;
    });
    expect(await (await push(script, BLOB.length)).result).toBe('pushed');
    expect(script.state.sessions).toBe(1);
  });
});

describe('a tag', () => {
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('{}'), size: 2 },
    layers: [],
  });
  const descriptor = { mediaType: OCI_MANIFEST, digest: digestOf(manifest), size: manifest.length };
  const tagged = async (status: number) => {
    const server = await bench.server((request, response) => {
      if (request.method !== 'PUT') return;
      const isTag = request.url.endsWith('/v1');
      sendJson(response, isTag ? status : 201, { errors: [{ code: 'DENIED', message: 'immutable' }] });
    });
    const repository = bench.client().repository(`${server.address}/a`);
    await repository.push(descriptor, async function* () {
      yield Buffer.from(manifest);
    });
    return { server, result: repository.tag(descriptor, 'v1') };
  };

  test.each([403, 409])(
    'that the registry refuses with %i is named, with the digest that is there, and not tried again',
    async (status) => {
      const { server, result } = await tagged(status);
      const error = await failureOf(result);
      expect(error.message).toContain("(DENIED: immutable), for the tag 'v1'");
      expect(error.hint).toContain(descriptor.digest);
      expect(server.lines().filter((line) => line === 'PUT /v2/a/manifests/v1')).toHaveLength(1);
    },
  );

  test('is put without asking for the manifest again', async () => {
    const { server, result } = await tagged(201);
    await result;
    expect(server.seen.at(-1)?.body.toString()).toBe(manifest);
    expect(server.seen.filter(({ method, url }) => method === 'GET' && url !== '/v2/')).toEqual([]);
  });

  test('for a manifest that is there is put with the bytes at hand, over a connection that HEAD leaves open, unless it is right already', async () => {
    const ports = new Set<number | undefined>();
    const headers = { 'content-type': OCI_MANIFEST, 'docker-content-digest': descriptor.digest };
    const server = await bench.server((request, response) => {
      if (request.url !== '/v2/') ports.add(response.socket?.remotePort);
      if (request.method === 'PUT') sendJson(response, 201, {});
      else if (request.method === 'HEAD' && !request.url.endsWith('/new'))
        response.writeHead(200, { ...headers, 'content-length': manifest.length }).end();
      else sendJson(response, request.url === '/v2/' ? 200 : 404, {});
    });
    const repository = bench.client().repository(`${server.address}/a`);
    expect([await repository.tagged('right'), await repository.tagged('new')]).toEqual([descriptor, undefined]);
    const pushed = repository.push(descriptor, async function* () {
      yield Buffer.from(manifest);
    });
    expect(await pushed).toBe('exists');
    await repository.tag(descriptor, 'new');
    expect(server.lines().slice(-2)).toEqual([`HEAD /v2/a/manifests/${descriptor.digest}`, 'PUT /v2/a/manifests/new']);
    // The next request may come while the last connection is being made free.
    expect(ports.size).toBeLessThan(3);
  });
});

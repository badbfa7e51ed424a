import { afterEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { copyGraph } from '../../../engine/image/copy.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import { OCI_MANIFEST } from '../../../engine/image/media-type.ts';
import { validateImage } from '../../../engine/image/validate.ts';
import { createRegistry } from '../../../engine/registry/registry.ts';
import type { RegistryOptions } from '../../../engine/registry/types.ts';
import { createRegistryServer } from '../../../engine/registry/server/server.ts';
import { hasProgram } from '../../helpers/docker-registry.ts';
import { createMemoryBackend, createMemoryStorage, startMemoryRegistry } from '../../helpers/memory-registry.ts';
import { addIndex, addSampleImage } from '../../helpers/sample-image.ts';

const run = promisify(execFile);
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(options = {}) {
  const server = await startMemoryRegistry(options);
  cleanups.push(() => server.close());
  return server;
}

function client(options: RegistryOptions = {}) {
  const registry = createRegistry({ timing: { minRetry: 5 }, ...options });
  cleanups.push(() => registry.close());
  return registry;
}

/** A raw request, so that tests can send what no client of ours would. */
async function ask(
  address: string,
  method: string,
  path: string,
  options: { readonly headers?: Record<string, string>; readonly body?: string | Uint8Array } = {},
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `http://${address}${path}`,
      { method, headers: options.headers ?? {}, agent: false },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }),
        );
        answer.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}

const codeOf = (body: string): string => (JSON.parse(body) as { errors: { code: string }[] }).errors[0]?.code ?? '';

describe('our registry server', () => {
  test('takes and gives back what our client pushes, also in chunks', async () => {
    const server = await serve();
    const [source, target] = [createMemoryStorage(), createMemoryStorage()];
    const root = addSampleImage(source, { sizes: [10, 300_000] });
    const repository = client({ chunkSize: 65_536 }).repository(`${server.address}/a/b`);
    await copyGraph(source, repository, root);
    await repository.tag(root, 'v1');
    const reader = client().repository(`${server.address}/a/b`);
    await copyGraph(reader, target, await reader.resolve('v1'));
    await validateImage(target, root);
    expect(target.contents.size).toBe(source.contents.size);
  });

  test('serves ranges, and refuses one outside the blob', async () => {
    const server = await serve();
    const digest = digestOf('0123456789');
    server.backend.contents.set(digest, Buffer.from('0123456789'));
    const get = (range: string) => ask(server.address, 'GET', `/v2/a/blobs/${digest}`, { headers: { range } });
    expect(await get('bytes=2-4')).toMatchObject({
      status: 206,
      body: '234',
      headers: { 'content-range': 'bytes 2-4/10' },
    });
    expect(await get('bytes=7-')).toMatchObject({ status: 206, body: '789' });
    expect(await get('bytes=-2')).toMatchObject({ status: 206, body: '89' });
    expect(await get('bytes=10-')).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */10' } });
    expect(await get('lines=1-2')).toMatchObject({ status: 200, body: '0123456789' });
  });

  test('takes a blob in one POST, in POST and PUT, and in ordered pieces', async () => {
    const { address, backend } = await serve();
    const digest = digestOf('hello');
    const single = await ask(address, 'POST', `/v2/a/blobs/uploads/?digest=${digest}`, { body: 'hello' });
    expect(single).toMatchObject({ status: 201, headers: { location: `/v2/a/blobs/${digest}` } });

    backend.contents.clear();
    const start = await ask(address, 'POST', '/v2/a/blobs/uploads/');
    const location = String(start.headers['location']);
    const first = await ask(address, 'PATCH', location, { headers: { 'content-range': '0-1' }, body: 'he' });
    expect(first).toMatchObject({ status: 202, headers: { range: '0-1' } });
    const early = await ask(address, 'PATCH', location, { headers: { 'content-range': '3-4' }, body: 'lo' });
    expect(early).toMatchObject({ status: 416, headers: { range: '0-1', location } });
    expect(await ask(address, 'GET', location)).toMatchObject({ status: 204, headers: { range: '0-1' } });
    const last = await ask(address, 'PUT', `${location}?digest=${digest}`, {
      headers: { 'content-range': '2-4' },
      body: 'llo',
    });
    expect(last.status).toBe(201);
    expect(backend.contents.get(digest)?.toString()).toBe('hello');
    expect((await ask(address, 'GET', location)).status).toBe(404);
  });

  test('refuses bytes that are not their digest, and keeps none of them', async () => {
    const { address, backend } = await serve();
    const answer = await ask(address, 'POST', `/v2/a/blobs/uploads/?digest=${digestOf('other')}`, { body: 'hello' });
    expect([answer.status, codeOf(answer.body)]).toEqual([400, 'DIGEST_INVALID']);
    expect(backend.contents.size).toBe(0);
  });

  test('forgets an upload that is cancelled', async () => {
    const { address } = await serve();
    const location = String((await ask(address, 'POST', '/v2/a/blobs/uploads/')).headers['location']);
    expect((await ask(address, 'DELETE', location)).status).toBe(204);
    expect(codeOf((await ask(address, 'PATCH', location, { body: 'x' })).body)).toBe('BLOB_UPLOAD_UNKNOWN');
  });

  test('mounts what is there and starts an upload for what is not', async () => {
    const { address, backend } = await serve();
    const digest = digestOf('hello');
    const mount = () => ask(address, 'POST', `/v2/b/blobs/uploads/?mount=${digest}&from=a`);
    expect((await mount()).status).toBe(202);
    backend.contents.set(digest, Buffer.from('hello'));
    expect((await mount()).status).toBe(201);
  });

  test('takes a manifest only when all it names is there, with the size it says', async () => {
    const { address, backend } = await serve();
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('{}'), size: 2 };
    const manifest = (descriptor: object) =>
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptor, layers: [] });
    const put = (body: string, type = OCI_MANIFEST) =>
      ask(address, 'PUT', '/v2/a/manifests/v1', { headers: { 'content-type': type }, body });
    expect(codeOf((await put(manifest(config))).body)).toBe('MANIFEST_BLOB_UNKNOWN');
    backend.contents.set(config.digest, Buffer.from('{}'));
    expect(codeOf((await put(manifest({ ...config, size: 3 }))).body)).toBe('MANIFEST_INVALID');
    expect(codeOf((await put('{"schemaVersion":1}')).body)).toBe('MANIFEST_INVALID');
    expect(codeOf((await put(manifest(config), 'application/vnd.oci.image.index.v1+json')).body)).toBe(
      'MANIFEST_INVALID',
    );
    expect((await put(manifest(config))).status).toBe(201);
    const wrong = await ask(address, 'PUT', `/v2/a/manifests/${digestOf('x')}`, {
      headers: { 'content-type': OCI_MANIFEST },
      body: manifest(config),
    });
    expect(codeOf(wrong.body)).toBe('DIGEST_INVALID');
  });

  test('refuses an index over a manifest that another repository has', async () => {
    const { address } = await serve();
    const source = createMemoryStorage();
    const image = addSampleImage(source);
    await copyGraph(source, client().repository(`${address}/one`), image);
    const index = addIndex(source, [[image, { os: 'linux', architecture: 'amd64' }]]);
    const body = source.contents.get(index.digest) ?? '';
    const answer = await ask(address, 'PUT', '/v2/two/manifests/v1', {
      headers: { 'content-type': index.mediaType },
      body,
    });
    expect(codeOf(answer.body)).toBe('MANIFEST_BLOB_UNKNOWN');
  });

  test('ends a manifest that is too large at the cap', async () => {
    const { address } = await serve();
    const body = Buffer.alloc(4 * 1024 * 1024 + 1, 0x20);
    const headers = { 'content-type': OCI_MANIFEST, 'transfer-encoding': 'chunked' };
    const answer = await ask(address, 'PUT', '/v2/a/manifests/v1', { headers, body }).catch((error: unknown) => error);
    // The server answers and hangs up; which of both a client that is still writing sees first is not ours to say.
    expect(answer instanceof Error || (answer as { status: number }).status === 413).toBe(true);
    expect((await ask(address, 'GET', '/v2/')).status).toBe(200);
  });

  test('lists tags by pages', async () => {
    const { address } = await serve();
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const repository = client().repository(`${address}/pages`);
    await copyGraph(source, repository, root);
    for (const tag of ['c', 'a', 'b']) await repository.tag(root, tag);
    const page = await ask(address, 'GET', '/v2/pages/tags/list?n=2');
    expect(JSON.parse(page.body)).toEqual({ name: 'pages', tags: ['a', 'b'] });
    expect(page.headers['link']).toBe('</v2/pages/tags/list?n=2&last=b>; rel="next"');
    expect(await repository.tags()).toEqual(['a', 'b', 'c']);
    expect(codeOf((await ask(address, 'GET', '/v2/unknown/tags/list')).body)).toBe('NAME_UNKNOWN');
  });

  test('lists repositories and referrers, and forgets tags and manifests', async () => {
    const { address } = await serve();
    const source = createMemoryStorage();
    const root = addSampleImage(source, { sizes: [10] });
    const repository = client().repository(`${address}/me/app`);
    await copyGraph(source, repository, root);
    await repository.tag(root, 'v1');
    const subject = { mediaType: root.mediaType, digest: root.digest, size: root.size };
    const empty = source.add('application/vnd.oci.empty.v1+json', '{}');
    const artifact = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: 'text/sbom',
      config: empty,
      layers: [],
      subject,
    };
    const sbom = source.add(OCI_MANIFEST, JSON.stringify(artifact));
    await copyGraph(source, repository, sbom);
    expect(JSON.parse((await ask(address, 'GET', '/v2/_catalog')).body)).toEqual({ repositories: ['me/app'] });
    const referrers = `/v2/me/app/referrers/${root.digest}`;
    const listed = JSON.parse((await ask(address, 'GET', referrers)).body) as { manifests: object[] };
    expect(listed.manifests).toEqual([{ ...sbom, artifactType: 'text/sbom' }]);
    const other = await ask(address, 'GET', `${referrers}?artifactType=text/other`);
    expect([JSON.parse(other.body), other.headers['oci-filters-applied']]).toMatchObject([
      { manifests: [] },
      'artifactType',
    ]);
    expect((await ask(address, 'DELETE', '/v2/me/app/manifests/v1')).status).toBe(202);
    expect((await ask(address, 'GET', '/v2/me/app/manifests/v1')).status).toBe(404);
    expect((await ask(address, 'GET', `/v2/me/app/manifests/${root.digest}`)).status).toBe(200);
    expect((await ask(address, 'DELETE', '/v2/me/app/manifests/v1')).status).toBe(404);
  });

  test.each([
    ['DELETE', '/v2/a/manifests/v1', 'MANIFEST_UNKNOWN'],
    ['DELETE', `/v2/a/blobs/${digestOf('x')}`, 'UNSUPPORTED'],
    ['GET', '/v2/Upper/manifests/v1', 'NAME_INVALID'],
    ['GET', '/v2/a/blobs/sha256:abc', 'DIGEST_INVALID'],
    ['GET', '/v2/a/manifests/v1', 'MANIFEST_UNKNOWN'],
    ['GET', '/v2/a/blobs/..%2f..%2fetc', 'DIGEST_INVALID'],
    ['GET', '/etc/passwd', 'NAME_UNKNOWN'],
  ])('answers %s %s with %s', async (method, path, code) => {
    const { address } = await serve();
    expect(codeOf((await ask(address, method, path)).body)).toBe(code);
  });

  test('serves neither web pages nor another host name on loopback', async () => {
    const { address } = await serve();
    expect((await ask(address, 'GET', '/v2/', { headers: { origin: 'https://evil.example' } })).status).toBe(403);
    expect((await ask(address, 'GET', '/v2/', { headers: { host: 'evil.example' } })).status).toBe(403);
    expect((await ask(address, 'GET', '/v2/', { headers: { host: 'localhost:1' } })).status).toBe(200);
  });

  test('asks for name and password when told to', async () => {
    const { address } = await serve({ auth: { username: 'me', password: 'secret' } });
    expect(await ask(address, 'GET', '/v2/')).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Basic realm="berth"' },
    });
    const source = createMemoryStorage();
    const registry = client({ credentials: async () => ({ username: 'me', password: 'secret' }) });
    await copyGraph(source, registry.repository(`${address}/x`), addSampleImage(source));
  });

  test('says so when the port is in use', async () => {
    const { port } = await serve();
    await expect(createRegistryServer(createMemoryBackend(), { port })).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
      message: `Cannot serve the registry on 127.0.0.1:${port}: the port is in use`,
    });
  });

  test('stops when its signal is aborted', async () => {
    const stop = new AbortController();
    const { address } = await serve({ signal: stop.signal });
    expect((await ask(address, 'GET', '/v2/')).status).toBe(200);
    stop.abort();
    await expect(ask(address, 'GET', '/v2/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

const withSkopeo = hasProgram('skopeo');
if (!withSkopeo) console.warn('skipped: skopeo is not installed (Debian package skopeo)');
(withSkopeo ? describe : describe.skip)('skopeo and our server', () => {
  test('copies an image out and in again, unchanged', async () => {
    const { address } = await serve();
    const source = createMemoryStorage();
    const root = addSampleImage(source);
    const repository = client().repository(`${address}/ours`);
    await copyGraph(source, repository, root);
    await repository.tag(root, 'v1');

    const folder = mkdtempSync(join(tmpdir(), 'skopeo-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    const skopeo = (...args: string[]) => run('skopeo', ['--policy', join(folder, 'policy.json'), ...args]);
    const inspect = await skopeo('inspect', '--tls-verify=false', '--raw', `docker://${address}/ours:v1`);
    expect(digestOf(inspect.stdout)).toBe(root.digest);
    await skopeo('copy', '--src-tls-verify=false', `docker://${address}/ours:v1`, `oci:${folder}/layout:v1`);
    await skopeo('copy', '--dest-tls-verify=false', `oci:${folder}/layout:v1`, `docker://${address}/theirs:v1`);
    const theirs = client().repository(`${address}/theirs`);
    expect(await theirs.resolve('v1')).toEqual(root);
    await validateImage(theirs, root);
  });
});

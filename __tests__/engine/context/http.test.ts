import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { download, type KnownDownload } from '../../../engine/context/index.ts';
import { createWeb, type Web } from '../../../engine/registry/index.ts';
import { startWeb, type TestWeb } from '../../helpers/web.ts';

const BODY = 'weights';
const DIGEST = `sha256:${createHash('sha256').update(BODY).digest('hex')}`;

let folder: string;
let server: TestWeb;
let other: TestWeb;
let web: Web;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-http-'));
  web = createWeb({});
  other = await startWeb((_request, response) => response.end(BODY));
  server = await startWeb((request, response): void => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/moved') return void response.writeHead(302, { location: '/model%20a.bin' }).end();
    if (pathname === '/away') return void response.writeHead(302, { location: `${other.origin}/x` }).end();
    if (pathname === '/loop') return void response.writeHead(302, { location: '/loop' }).end();
    if (pathname === '/short')
      return void response.writeHead(200, { 'content-length': 100 }).end(BODY, () => response.destroy());
    if (pathname === '/secret') return void response.writeHead(401).end();
    if (request.headers['if-none-match'] === '"1"') return void response.writeHead(304).end();
    const disposition = { 'content-disposition': 'attachment; filename="../named.bin"' };
    response.writeHead(200, {
      etag: '"1"',
      'last-modified': 'Tue, 01 Feb 2022 03:04:05 GMT',
      ...(pathname === '/' ? disposition : {}),
    });
    response.end(BODY);
  });
});
afterEach(async () => {
  await Promise.all([web.close(), server.close(), other.close()]);
  await rm(folder, { recursive: true, force: true });
});

const get = (path: string, more: Partial<Parameters<typeof download>[1]> = {}): ReturnType<typeof download> =>
  download(new URL(path, server.origin), { web, folder, headers: {}, ...more });

describe('download', () => {
  test('gives a private file with the name, the time and the digest of what is there', async () => {
    const found = await get('/moved');
    expect(found).toMatchObject({ digest: DIGEST, lastModified: 'Tue, 01 Feb 2022 03:04:05 GMT' });
    const path = found.path ?? '';
    const { mode, mtime } = await stat(path);
    expect([basename(path), mode & 0o7777, mtime.toISOString()]).toEqual(['moved', 0o600, '2022-02-01T03:04:05.000Z']);
    expect(await readFile(path, 'utf8')).toBe(BODY);
  });

  test.each([
    ['/dir/model%20a.bin?x=1', 'model a.bin'],
    ['/', 'named.bin'],
  ])('names what %s gives %s', async (path, name) => {
    expect(basename((await get(path)).path ?? '')).toBe(name);
  });

  test('asks only whether what is known has changed', async () => {
    let known: KnownDownload | undefined;
    await get('/a', { remember: async (record) => void (known = record) });
    expect(known).toEqual({ digest: DIGEST, etag: '"1"', lastModified: 'Tue, 01 Feb 2022 03:04:05 GMT' });
    const again = await get('/a', { known });
    expect(again).toEqual({ digest: DIGEST, lastModified: 'Tue, 01 Feb 2022 03:04:05 GMT' });
  });

  test('sends credentials to the server that was asked, and to no other', async () => {
    await get('/away', { headers: { authorization: 'Bearer token' } });
    expect(server.asked[0]?.headers.authorization).toBe('Bearer token');
    expect(other.asked[0]?.headers.authorization).toBeUndefined();
  });

  test.each([
    ['/secret', 'answered 401', 'HTTP_AUTH_TOKEN_127.0.0.1'],
    ['/loop', 'redirects more than', ''],
    ['/short', '', ''],
  ])('says what is wrong with %s, and leaves no file', async (path, state, hint) => {
    const error = await get(path).catch((reason: unknown) => reason);
    expect(String((error as Error).message)).toContain(state);
    expect(String((error as { hint?: string }).hint ?? '')).toContain(hint);
    await expect(stat(join(folder, basename(path)))).rejects.toThrow('ENOENT');
  });
});

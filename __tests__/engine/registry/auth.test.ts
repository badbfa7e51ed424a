import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { copyGraph } from '../../../engine/image/copy.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import { parseChallenges } from '../../../engine/registry/challenge.ts';
import { trustedRealm } from '../../../engine/registry/realm.ts';
import type { Credentials } from '../../../engine/registry/types.ts';
import { createMemoryStorage, startMemoryRegistry } from '../../helpers/memory-registry.ts';
import { bytesOf, createRegistryBench, failureOf } from '../../helpers/registry-bench.ts';
import { addSampleImage } from '../../helpers/sample-image.ts';
import { type Script, sendJson } from '../../helpers/scripted-server.ts';
import { runs } from '../../helpers/property.ts';

const bench = createRegistryBench();
afterEach(() => bench.clear());

const BLOB = randomBytes(1000);
const DESCRIPTOR = { mediaType: 'application/octet-stream', digest: digestOf(BLOB), size: BLOB.length };
const credentials = async (): Promise<Credentials> => ({ username: 'me', password: 'canary' });
const BASIC = `Basic ${Buffer.from('me:canary').toString('base64')}`;

/** A registry with one blob that wants a token of its own `/token`. */
function guarded(token: Script, realm = (host: string) => `http://${host}/token`): Script {
  return async (request, response) => {
    if (request.url.startsWith('/token')) return token(request, response);
    const host = request.headers.host ?? '';
    if (request.authorization !== 'Bearer good') {
      response
        .writeHead(401, {
          'www-authenticate': `Bearer realm="${realm(host)}",service="test",scope="repository:a:pull"`,
        })
        .end();
    } else response.writeHead(200, { 'content-length': String(BLOB.length) }).end(BLOB);
  };
}

describe('challenges', () => {
  const read = (header: string | string[]) =>
    parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)]);
  test.each<[string | string[], unknown]>([
    ['Basic realm="x"', [['basic', { realm: 'x' }]]],
    [
      'Bearer realm="https://a/t",service="s, t",scope="repository:a:pull,push"',
      [['bearer', { realm: 'https://a/t', service: 's, t', scope: 'repository:a:pull,push' }]],
    ],
    [
      'Basic realm="x", Bearer realm="y"',
      [
        ['basic', { realm: 'x' }],
        ['bearer', { realm: 'y' }],
      ],
    ],
    [
      ['Negotiate', 'Bearer realm="y"'],
      [
        ['negotiate', {}],
        ['bearer', { realm: 'y' }],
      ],
    ],
    ['Bearer realm=https://a/t,service=s', [['bearer', { realm: 'https://a/t', service: 's' }]]],
    ['Bearer realm="https://a/t', [['bearer', { realm: 'https://a/t' }]]],
    ['Bearer realm="a\\"b"', [['bearer', { realm: 'a"b' }]]],
    ['Bearer realm = "a" , service="b"', [['bearer', { realm: 'a', service: 'b' }]]],
    ['bearer REALM="first",realm="second"', [['bearer', { realm: 'first' }]]],
    [', ,Basic realm="x"', [['basic', { realm: 'x' }]]],
    ['"quoted"', []],
    ['', []],
    ['Bearer realm="\\', [['bearer', { realm: '' }]]],
  ])('reads %j', (header, expected) => expect(read(header)).toEqual(expected));

  test('never fail, whatever a server writes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'Bearer ="\\,;:/ab \t') }), (header) => {
        for (const { scheme } of parseChallenges(`Basic ${header}`)) expect(scheme).toMatch(/^[a-z/;:]+$/);
        expect(parseChallenges(`Basic realm="x", ${header}`)[0]?.scheme).toBe('basic');
      }),
      runs(),
    );
  });
});

describe('realms', () => {
  const hub = new URL('https://registry-1.docker.io');
  const own = new URL('https://registry.example.com');
  const local = new URL('http://127.0.0.1:5000');
  test.each([
    [hub, 'https://auth.docker.io/token'],
    [own, 'https://registry.example.com/token'],
    [own, 'https://registry.example.com:443/token'],
    [local, 'http://127.0.0.1:5000/token'],
    [local, 'http://localhost:5001/token'],
    [new URL('http://plain.example'), 'http://plain.example/token'],
  ])('of %s may be %s', (origin, realm) => {
    expect(trustedRealm(realm, origin, 'pull x', true).href).toContain('token');
  });

  test.each([
    [own, 'http://registry.example.com/token', "isn't https"],
    [own, 'https://registry.example.com:8443/token', "isn't the registry's own host"],
    [own, 'https://registry.example.com.evil.net/token', "isn't the registry's own host"],
    [own, 'https://auth.docker.io/token', "isn't the registry's own host"],
    [own, 'https://127.0.0.1/token', 'local address'],
    [own, 'https://0x7f.1/token', 'local address'],
    [own, 'https://[::1]/token', 'local address'],
    [own, 'https://169.254.169.254/latest', 'local address'],
    [own, 'https://me:pw@registry.example.com/token', 'carries credentials'],
    [own, 'file:///etc/passwd', "isn't an http(s) URL"],
    [own, 'nonsense', "isn't a URL"],
    [new URL('http://plain.example'), 'http://other.example/token', "isn't https"],
  ])('of %s may not be %s', (origin, realm, why) => {
    expect(() => trustedRealm(realm, origin, 'pull x', true)).toThrow(why);
  });

  test('of an anonymous client may be another public host, but no local address', () => {
    expect(trustedRealm('https://gitlab.example.com/jwt/auth', own, 'pull x', false).host).toBe('gitlab.example.com');
    expect(() => trustedRealm('https://127.0.0.1/jwt', own, 'pull x', false)).toThrow('local address');
  });
});

describe('token authentication', () => {
  test('fetches one token for a pull and sends name and password to the realm alone', async () => {
    const server = await bench.server(
      guarded((_, response) => sendJson(response, 200, { token: 'good', expires_in: 300 })),
    );
    const heard: string[] = [];
    const onSecret = (value: string): void => {
      const uses = [BASIC, `Bearer ${value}`].slice(value === 'good' ? 1 : 0);
      expect(server.seen.some(({ authorization = '' }) => uses.includes(authorization))).toBe(false);
      heard.push(value);
    };
    const repository = bench.client({ credentials, onSecret }).repository(`${server.address}/a`);
    for (let i = 0; i < 3; i += 1) expect(await bytesOf(repository.fetch(DESCRIPTOR))).toEqual(BLOB);
    const tokens = server.seen.filter(({ url }) => url.startsWith('/token'));
    expect(tokens.map(({ url, authorization }) => [url, authorization])).toEqual([
      ['/token?service=test&scope=repository%3Aa%3Apull&account=me', BASIC],
    ]);
    expect(heard).toEqual(['canary', 'good']);
    const others = server.seen.filter(({ url }) => !url.startsWith('/token'));
    expect(new Set(others.map(({ authorization }) => authorization))).toEqual(new Set([undefined, 'Bearer good']));
  });

  test.each([0, -1, undefined, 1e12, 'soon'])('keeps a token with expires_in %p for its pull', async (lifetime) => {
    const server = await bench.server(
      guarded((_, response) =>
        sendJson(response, 200, { access_token: 'good', expires_in: lifetime, issued_at: '2999-01-01T00:00:00Z' }),
      ),
    );
    const repository = bench.client().repository(`${server.address}/a`);
    for (let i = 0; i < 2; i += 1) await bytesOf(repository.fetch(DESCRIPTOR));
    expect(server.lines().filter((line) => line.includes('/token'))).toHaveLength(1);
  });

  test('asks with a refresh token by POST, and never puts it into a URL', async () => {
    const server = await bench.server(guarded((_, response) => sendJson(response, 200, { access_token: 'good' })));
    const source = async (): Promise<Credentials> => ({
      username: '<token>',
      password: '',
      identityToken: 'refresh-canary',
    });
    await bytesOf(bench.client({ credentials: source }).repository(`${server.address}/a`).fetch(DESCRIPTOR));
    const asked = server.seen.find(({ url }) => url.startsWith('/token'));
    expect(asked?.method).toBe('POST');
    expect(asked?.body.toString()).toContain('refresh_token=refresh-canary');
    expect(server.lines().join()).not.toContain('canary');
  });

  test.each<[string, Script, string]>([
    ['HTML', (_, response) => void response.writeHead(200).end('<html>'), "isn't JSON"],
    ['two tokens', (_, response) => sendJson(response, 200, { token: 'a', access_token: 'b' }), 'two different tokens'],
    ['no token', (_, response) => sendJson(response, 200, {}), 'gave no token'],
    [
      'a token that would split a header',
      (_, response) => sendJson(response, 200, { token: 'a\r\nx: y' }),
      'gave no token',
    ],
    [
      '2 MiB',
      (_, response) => sendJson(response, 200, { token: 'a'.repeat(2 << 20) }),
      'over the limit of 1048576 bytes',
    ],
    [
      'a refusal',
      (_, response) => sendJson(response, 403, { errors: [{ code: 'DENIED', message: 'no\u001b[2J' }] }),
      'DENIED: no\\x1b[2J',
    ],
  ])('refuses a token server that answers %s', async (_, script, text) => {
    const server = await bench.server(guarded(script));
    const repository = bench.client({ credentials }).repository(`${server.address}/a`);
    const error = await failureOf(bytesOf(repository.fetch(DESCRIPTOR)));
    expect(error.message).toContain(text);
    expect(error.message + (error.hint ?? '')).not.toContain('canary');
  });

  test('does not follow a token server elsewhere', async () => {
    const catcher = await bench.server((_, response) => sendJson(response, 200, { token: 'good' }));
    const server = await bench.server(
      guarded((_, response) => void response.writeHead(307, { location: `http://${catcher.address}/` }).end()),
    );
    const error = await failureOf(
      bytesOf(bench.client({ credentials }).repository(`${server.address}/a`).fetch(DESCRIPTOR)),
    );
    expect(error).toMatchObject({ code: 'REGISTRY_PROTOCOL', message: expect.stringContaining('redirected') });
    expect(catcher.seen).toEqual([]);
  });

  test('names the host of a 401 that does not say how to log in', async () => {
    const server = await bench.server((_, response) => void response.writeHead(401).end());
    const error = await failureOf(
      bytesOf(bench.client({ credentials }).repository(`${server.address}/a`).fetch(DESCRIPTOR)),
    );
    expect(error.message).toContain(`${server.address} answered 401 Unauthorized and doesn't say how to log in`);
    expect(server.seen.map(({ authorization }) => authorization)).not.toContain(BASIC);
  });

  test('does not ask for ever when every token is refused', async () => {
    const server = await bench.server(guarded((_, response) => sendJson(response, 200, { token: 'bad' })));
    const error = await failureOf(
      bytesOf(bench.client({ credentials }).repository(`${server.address}/a`).fetch(DESCRIPTOR)),
    );
    expect(error).toMatchObject({ code: 'REGISTRY_UNAUTHORIZED', status: 401 });
    expect(server.lines().filter((line) => line.includes('/token')).length).toBeLessThanOrEqual(3);
  });

  test('pushes through although each token holds for two requests only', async () => {
    const real = await startMemoryRegistry();
    try {
      let left = 0;
      let tokens = 0;
      const server = await bench.server(async (request, response) => {
        if (request.url.startsWith('/token')) {
          tokens += 1;
          left = 2;
          return sendJson(response, 200, { token: `t${tokens}`, expires_in: 3 });
        }
        if (request.authorization !== `Bearer t${tokens}` || left === 0) {
          return void response
            .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="s"` })
            .end();
        }
        left -= 1;
        const headers = Object.fromEntries(
          Object.entries(request.headers).filter(([name]) => /^(content-|range|accept$)/.test(name)),
        ) as Record<string, string>;
        const body = request.body.length === 0 ? {} : { body: new Uint8Array(request.body) };
        const answer = await fetch(`http://${real.address}${request.url}`, {
          method: request.method,
          headers,
          ...body,
        });
        const bytes = Buffer.from(await answer.arrayBuffer());
        response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(bytes);
      });
      const source = createMemoryStorage();
      const root = addSampleImage(source, { sizes: [100, 5000] });
      const repository = bench.client({ chunkSize: 1000 }).repository(`${server.address}/a`);
      await copyGraph(source, repository, root, { concurrency: 1 });
      await repository.tag(root, 'v1');
      expect(real.backend.repositories.get('a')?.get('v1')?.descriptor).toEqual(root);
      expect(tokens).toBeGreaterThan(5);
    } finally {
      await real.close();
    }
  });

  test('asks for pull and push at once, and for pull alone where it mounts from', async () => {
    const scopes: string[] = [];
    const server = await bench.server((request, response) => {
      const url = new URL(request.url, 'http://x');
      if (url.pathname === '/token') {
        scopes.push(url.searchParams.getAll('scope').join(' '));
        return sendJson(response, 200, { token: 'good' });
      }
      if (request.authorization === undefined) {
        return void response
          .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` })
          .end();
      }
      response.writeHead(request.method === 'POST' ? 201 : 404).end();
    });
    const repository = bench.client().repository(`${server.address}/a`);
    const outcome = await repository.push(DESCRIPTOR, () => never(), {
      mountFrom: [`${server.address}/b`, 'ghcr.io/c'],
    });
    expect(outcome).toBe('mounted');
    expect(scopes).toEqual(['repository:a:pull,push', 'repository:a:pull,push repository:b:pull']);
  });
});

describe('redirects', () => {
  test('to another port get no Authorization, no cookie and no header of ours', async () => {
    const storage = await bench.server(
      (_, response) => void response.writeHead(200, { 'content-length': String(BLOB.length) }).end(BLOB),
    );
    const server = await bench.server((request, response) => {
      if (request.authorization !== BASIC)
        return void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      response.writeHead(307, { location: `http://${storage.address}/signed?sig=abc` }).end();
    });
    expect(await bytesOf(bench.client({ credentials }).repository(`${server.address}/a`).fetch(DESCRIPTOR))).toEqual(
      BLOB,
    );
    const { headers } = storage.seen[0] ?? { headers: {} };
    expect(Object.keys(headers).sort()).toEqual(['accept-encoding', 'connection', 'host', 'user-agent']);
  });

  test('to a host that then asks for a login get none', async () => {
    const storage = await bench.server((request, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` }).end();
    });
    const server = await bench.server((request, response) => {
      if (request.authorization !== BASIC)
        return void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      response.writeHead(307, { location: `http://${storage.address}/blob` }).end();
    });
    const error = await failureOf(
      bytesOf(bench.client({ credentials }).repository(`${server.address}/a`).fetch(DESCRIPTOR)),
    );
    expect(error.message).toContain(`${storage.address} answered 401`);
    expect(storage.seen.map(({ url, authorization }) => [url, authorization])).toEqual([['/blob', undefined]]);
  });

  test.each([
    ['file:///etc/passwd', 'only http(s) is followed'],
    ['data:text/plain,x', 'only http(s) is followed'],
    ['http://169.254.169.254/latest/meta-data', 'link-local'],
    ['http://me:pw@127.0.0.1/x', 'may not carry credentials'],
    ['http://[', "what isn't a URL"],
  ])('to %s are refused', async (location, why) => {
    const server = await bench.server((_, response) => void response.writeHead(302, { location }).end());
    const error = await failureOf(bytesOf(bench.client().repository(`${server.address}/a`).fetch(DESCRIPTOR)));
    expect(error).toMatchObject({ code: 'REGISTRY_PROTOCOL', message: expect.stringContaining(why) });
  });

  test('in a circle end', async () => {
    const server = await bench.server(
      (request, response) => void response.writeHead(302, { location: request.url }).end(),
    );
    const error = await failureOf(bytesOf(bench.client().repository(`${server.address}/a`).fetch(DESCRIPTOR)));
    expect(error.message).toContain('redirected more than 10 times');
    expect(server.seen.length).toBeLessThan(15);
  });
});

async function* never(): AsyncGenerator<Uint8Array> {
  throw new Error('the source was read');
}

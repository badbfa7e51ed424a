import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '../../../engine/image/digest.ts';
import { hasProxy } from '../../../engine/registry/proxy.ts';
import { bytesOf, createRegistryBench, failureOf } from '../../helpers/registry-bench.ts';
import { BAD_PROXIES, startBadProxy } from '../../helpers/bad-proxy.ts';
import { hasProgram } from '../../helpers/docker-registry.ts';
import { type Script, type ScriptedServer, startScriptedServer } from '../../helpers/scripted-server.ts';

const bench = createRegistryBench();
afterEach(() => bench.clear());
const BLOB = Buffer.from('a blob');
const DESCRIPTOR = { mediaType: 'application/octet-stream', digest: digestOf(BLOB), size: BLOB.length };
const whole: Script = (_, response) => void response.writeHead(200).end(BLOB);

const isThere = hasProgram('openssl');
if (!isThere) console.warn('skipped: openssl is not installed (it makes the certificate)');

(isThere ? describe : describe.skip)('a registry with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'registry-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  let plain: ScriptedServer;
  const start = async (script: Script) => {
    const server = await startScriptedServer(script, { key: readFileSync(key), cert: readFileSync(cert) });
    servers.push(server);
    return server;
  };
  const servers: ScriptedServer[] = [];
  beforeAll(async () => {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        '-keyout',
        key,
        '-out',
        cert,
        ...subject,
      ],
      { stdio: 'ignore' },
    );
    plain = await startScriptedServer(whole);
  });
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));
  afterAll(async () => {
    await plain.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('is found on loopback, and trusted by its CA file alone', async () => {
    const server = await start(whole);
    const trusting = bench.client({ caFile: cert }).repository(`${server.address}/a`);
    expect(await bytesOf(trusting.fetch(DESCRIPTOR))).toEqual(BLOB);
    const error = await failureOf(bytesOf(bench.client().repository(`${server.address}/a`).fetch(DESCRIPTOR)));
    expect(error).toMatchObject({ code: 'REGISTRY_TLS', hint: expect.stringContaining('ca-file') });
    expect(error.message).toContain(`the TLS connection to ${server.address} failed (DEPTH_ZERO_SELF_SIGNED_CERT)`);
  });

  test('may not send a blob to plain http', async () => {
    const server = await start((request, response) => {
      response.writeHead(307, { location: `http://${plain.address}${request.url}` }).end();
    });
    const error = await failureOf(
      bytesOf(bench.client({ caFile: cert }).repository(`${server.address}/a`).fetch(DESCRIPTOR)),
    );
    expect(error.message).toContain('TLS is never left');
    expect(plain.seen).toEqual([]);
  });

  test('may not send an upload to plain http', async () => {
    const server = await start((request, response) => {
      if (request.method === 'POST') response.writeHead(202, { location: `http://${plain.address}/up` }).end();
    });
    const push = bench
      .client({ caFile: cert })
      .repository(`${server.address}/a`)
      .push(DESCRIPTOR, async function* () {
        yield BLOB;
      });
    expect((await failureOf(push)).message).toContain('X-Forwarded-Proto');
    expect(plain.seen).toEqual([]);
  });

  test('names a CA file that is none', async () => {
    const read = (caFile: string) =>
      failureOf(bytesOf(bench.client({ caFile }).repository('registry.example/a').fetch(DESCRIPTOR)));
    expect(await read(join(folder, 'missing'))).toMatchObject({
      code: 'CA_FILE',
      message: expect.stringContaining('missing'),
    });
    expect((await read(import.meta.filename)).message).toContain('there is no PEM certificate in it');
  });
});

describe('a proxy', () => {
  test('carries requests to other hosts, and none to loopback or to what is exempt', async () => {
    const target = await bench.server(whole);
    const asked: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request: IncomingMessage, socket) => {
      asked.push(String(request.url));
      const upstream = connect(Number(target.address.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      socket.on('error', () => upstream.destroy());
      upstream.on('error', () => socket.destroy());
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    try {
      const httpProxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      const options = { httpProxy, insecureRegistries: ['registry.test:80'] };
      expect(await bytesOf(bench.client(options).repository('registry.test:80/a').fetch(DESCRIPTOR))).toEqual(BLOB);
      expect(new Set(asked)).toEqual(new Set(['registry.test:80']));
      asked.length = 0;
      await bytesOf(bench.client(options).repository(`${target.address}/a`).fetch(DESCRIPTOR));
      const error = await failureOf(
        bytesOf(
          bench
            .client({ ...options, noProxy: 'registry.test' })
            .repository('registry.test:80/a')
            .fetch(DESCRIPTOR),
        ),
      );
      expect(error.code).toBe('REGISTRY_UNREACHABLE');
      expect(asked).toEqual([]);
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });

  test.each([
    ['http://registry.test', 'httpProxy', true],
    ['https://registry.test', 'httpProxy', false],
    ['https://registry.test', 'httpsProxy', true],
    ['http://registry.test', 'httpsProxy', false],
  ])('is asked for %s by %s: %s', (url, name, isAsked) => {
    expect(hasProxy(new URL(url), { [name]: 'http://proxy.test' })).toBe(isAsked);
  });

  test.each(BAD_PROXIES)('that %s is an error that names it', async (what, behave, said) => {
    const proxy = await startBadProxy(behave);
    try {
      const client = bench.client({ httpsProxy: proxy.host, timing: { connect: 50, minRetry: 1, maxRetry: 2 } });
      const error = await failureOf(client.repository('registry.test/a').resolve('v1'));
      const tries = what === 'wants a password' ? '' : ' (after 5 attempts)';
      expect(error.message).toBe(`Cannot pull registry.test/a:v1: the proxy ${proxy.host} ${said}${tries}`);
    } finally {
      proxy.close();
    }
  });

  test('that is none is refused without showing it', async () => {
    const client = bench.client({ httpsProxy: 'ftp://me:secret@host' });
    const error = await failureOf(client.repository('registry.test/a').resolve('v1'));
    expect(error.code).toBe('PROXY_INVALID');
    expect(error.message).not.toContain('secret');
  });
});

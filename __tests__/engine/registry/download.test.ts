import { afterEach, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { digestOf } from '../../../engine/image/digest.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../../engine/image/media-type.ts';
import type { ProgressEvent } from '../../../engine/base/progress.ts';
import { withRetry } from '../../../engine/registry/client.ts';
import { RegistryError } from '../../../engine/registry/errors.ts';
import { networkError } from '../../../engine/registry/failure.ts';
import { bytesOf, createRegistryBench, failureOf } from '../../helpers/registry-bench.ts';
import { type Script, sendJson } from '../../helpers/scripted-server.ts';

const bench = createRegistryBench();
afterEach(() => bench.clear());

const BLOB = randomBytes(300_000);
const DESCRIPTOR = { mediaType: 'application/octet-stream', digest: digestOf(BLOB), size: BLOB.length };

/** A registry whose blob requests are answered by `answers`, one after the other; the last one again and again. */
function blobs(...answers: Script[]): Script {
  let next = 0;
  return (request, response) => {
    if (!request.url.includes('/blobs/')) return sendJson(response, 200, {});
    return answers[Math.min(next++, answers.length - 1)]?.(request, response);
  };
}

const whole: Script = (_, response) =>
  void response.writeHead(200, { 'content-length': String(BLOB.length) }).end(BLOB);
const byRange: Script = (request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
  response
    .writeHead(206, { 'content-range': `bytes ${start}-${BLOB.length - 1}/${BLOB.length}` })
    .end(BLOB.subarray(start));
};
/** Says the whole length and breaks off. */
const cut: Script = (_, response) => {
  response.writeHead(200, { 'content-length': String(BLOB.length) });
  response.write(BLOB.subarray(0, 100_000), () => response.destroy());
};
/** Ends early in a way that HTTP takes for an end. */
const shortButClean: Script = (_, response) => {
  response.writeHead(200, { connection: 'close' }).end(BLOB.subarray(0, 100_000));
};
const status =
  (code: number, headers: Record<string, string> = {}): Script =>
  (_, response) =>
    sendJson(response, code, { errors: [{ code: 'X', message: 'so it is' }] }, headers);

async function pull(script: Script): Promise<{ readonly result: Promise<Buffer>; readonly ranges: () => unknown[] }> {
  const server = await bench.server(script);
  const result = bytesOf(bench.client().repository(`${server.address}/a`).fetch(DESCRIPTOR));
  result.catch(() => undefined);
  const ranges = (): unknown[] =>
    server.seen.filter(({ url }) => url.includes('/blobs/')).map(({ headers }) => headers.range);
  return { result, ranges };
}

describe('a blob', () => {
  test.each<[string, Script]>([
    ['that breaks off', cut],
    ['whose connection closes early', shortButClean],
  ])('%s is continued by Range where it broke', async (_, broken) => {
    const { result, ranges } = await pull(blobs(broken, byRange));
    expect(digestOf(await result)).toBe(DESCRIPTOR.digest);
    expect(ranges()).toEqual([undefined, expect.stringMatching(/^bytes=\d+-$/)]);
  });

  test('is read again from its start where ranges are not served', async () => {
    const { result } = await pull(blobs(cut, whole));
    expect(digestOf(await result)).toBe(DESCRIPTOR.digest);
  });

  test('is read again from its start after 416', async () => {
    const { result, ranges } = await pull(blobs(cut, status(416), whole));
    expect(digestOf(await result)).toBe(DESCRIPTOR.digest);
    expect(ranges()).toHaveLength(3);
  });

  test('is not glued from another range than the one asked for', async () => {
    const other: Script = (_, response) =>
      void response.writeHead(206, { 'content-range': `bytes 5-9/${BLOB.length}` }).end('12345');
    const { result } = await pull(blobs(cut, other));
    expect(await failureOf(result)).toMatchObject({
      code: 'REGISTRY_PROTOCOL',
      message: expect.stringContaining("'bytes 5-9/300000'"),
    });
  });

  test('that never gets further is given up, naming host and bytes', async () => {
    const { result, ranges } = await pull(
      blobs(
        shortButClean,
        status(206, { 'content-range': `bytes 100000-${BLOB.length - 1}/${BLOB.length}` }),
        (_, r) => void r.destroy(),
      ),
    );
    expect(await failureOf(result)).toMatchObject({
      code: expect.stringMatching(/REGISTRY_UNREACHABLE|CONTENT_MISMATCH/),
    });
    expect(ranges().length).toBeLessThan(40);
  });

  test('with one bit flipped is refused with both digests', async () => {
    const flipped = Buffer.from(BLOB);
    flipped[1000] = (flipped[1000] ?? 0) ^ 1;
    const { result } = await pull(blobs((_, response) => void response.writeHead(200).end(flipped)));
    const error = await failureOf(result);
    expect(error.code).toBe('CONTENT_MISMATCH');
    expect(error.message).toContain(DESCRIPTOR.digest);
    expect(error.message).toContain(digestOf(flipped));
  });

  test('that is longer than it may be is refused at once', async () => {
    const endless: Script = (_, response) => {
      response.writeHead(200);
      const write = (): void => {
        while (!response.destroyed && response.write(BLOB));
        if (!response.destroyed) response.once('drain', write);
      };
      write();
    };
    const { result } = await pull(blobs(endless));
    expect(await failureOf(result)).toMatchObject({
      code: 'CONTENT_MISMATCH',
      message: expect.stringContaining('more than 300000 bytes'),
    });
  });

  test('said to be encoded is taken as it comes, and decoded by nobody', async () => {
    const { result } = await pull(
      blobs((_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(BLOB)),
    );
    expect(digestOf(await result)).toBe(DESCRIPTOR.digest);
  });

  test('that comes in drops is given up like one that does not come', async () => {
    const drops: Script = (_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
    };
    const server = await bench.server(blobs(drops));
    const client = bench.client({ timing: { idle: 100, minRetry: 1 } });
    const error = await failureOf(bytesOf(client.repository(`${server.address}/a`).fetch(DESCRIPTOR)));
    expect(error).toMatchObject({ code: 'REGISTRY_TIMEOUT', message: expect.stringContaining(server.address) });
  });

  test('download ends with the reason of its signal', async () => {
    const stop = new AbortController();
    const server = await bench.server(blobs((_, response) => void response.writeHead(200).write(BLOB.subarray(0, 10))));
    const source = bench.client().repository(`${server.address}/a`).fetch(DESCRIPTOR, { signal: stop.signal });
    const iterator = source[Symbol.asyncIterator]();
    await iterator.next();
    const reason = new Error('cancelled by the test');
    stop.abort(reason);
    await expect(iterator.next()).rejects.toBe(reason);
  });
});

describe('refusals', () => {
  test('that may pass are tried again', async () => {
    const { result, ranges } = await pull(blobs(status(503), status(500), status(429, { 'retry-after': '0' }), whole));
    expect(digestOf(await result)).toBe(DESCRIPTOR.digest);
    expect(ranges()).toHaveLength(4);
  });

  test.each([
    [5, 'served'],
    [0, 'given up'],
    [100, 'given up'],
  ])('that ask ten times to wait for %i ms are %s in the end', async (retryAfter, outcome) => {
    const timing = { connect: 1, idle: 1, commit: 1, minRetry: 1, maxRetry: 10, deadline: 60_000 };
    const act = async (attempt: number): Promise<string> => {
      if (attempt > 10) return 'served';
      throw new RegistryError('REGISTRY_RATE_LIMITED', 'Cannot pull', { temporary: true, retryAfter });
    };
    const result = withRetry(act, timing, undefined).catch((error: Error) => error.message);
    expect(await result).toBe(outcome === 'served' ? 'served' : 'Cannot pull (after 5 attempts)');
  });

  test.each([
    [503, 'REGISTRY_UNAVAILABLE', '503 Service Unavailable'],
    [429, 'REGISTRY_RATE_LIMITED', '429 Too Many Requests'],
    [408, 'REGISTRY_UNAVAILABLE', '408 Request Timeout'],
  ])('with %i for ever end with host, attempts and the words of the registry', async (code, name, text) => {
    const { result, ranges } = await pull(blobs(status(code)));
    const error = await failureOf(result);
    expect(error).toMatchObject({ code: name, status: code });
    expect(error.message).toMatch(/^Cannot pull blob sha256:\S+ of 127\.0\.0\.1:\d+\/a: 127\.0\.0\.1:\d+ answered /);
    expect(error.message).toContain(`answered ${text} (X: so it is) (after 5 attempts)`);
    expect(ranges()).toHaveLength(5);
  });

  test.each([
    [403, 'REGISTRY_DENIED'],
    [404, 'REGISTRY_NOT_FOUND'],
    [400, 'REGISTRY_REJECTED'],
  ])('with %i are final', async (code, name) => {
    const { result, ranges } = await pull(blobs(status(code)));
    expect(await failureOf(result)).toMatchObject({ code: name, status: code });
    expect(ranges()).toHaveLength(1);
  });

  test('of a name that no server knows say what to check', () => {
    const cause = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
    const error = networkError({ act: 'pull a', isImage: true }, new URL('https://nosuch.example/v2/'), cause, false);
    expect(error).toMatchObject({
      message: "Cannot pull a: the host nosuch.example isn't known (ENOTFOUND)",
      hint: 'Check the name nosuch.example, the network and its name servers, or name a mirror',
    });
  });

  test('of the connection are one line that names host and port', async () => {
    const server = await bench.server(() => undefined);
    await server.close();
    const error = await failureOf(bench.client().repository(`${server.address}/a`).resolve('v1'));
    expect(error).toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: `Cannot pull ${server.address}/a:v1: the connection to ${server.address} was refused`,
      hint: `Is the registry running at ${server.address}?`,
    });
  });

  test('of a port that is none name it', () => {
    expect(() => bench.client().repository('127.0.0.1:99999/a')).toThrow("99999 isn't a port");
  });
});

const MANIFEST = JSON.stringify({
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('{}'), size: 2 },
  layers: [],
});
const manifestHeaders = {
  'content-type': OCI_MANIFEST,
  'content-length': String(MANIFEST.length),
  'docker-content-digest': digestOf(MANIFEST),
};

describe('a manifest', () => {
  const resolve = async (script: Script, reference = 'v1') => {
    const server = await bench.server(script);
    return bench.client().repository(`${server.address}/a`).resolve(reference);
  };

  test.each([403, 404, 405])('is asked for by GET where HEAD answers %i', async (code) => {
    const found = await resolve((request, response) => {
      if (request.method === 'HEAD') response.writeHead(code).end();
      else response.writeHead(200, manifestHeaders).end(MANIFEST);
    });
    expect(found).toEqual({ mediaType: OCI_MANIFEST, digest: digestOf(MANIFEST), size: MANIFEST.length });
  });

  test('is asked for by GET where HEAD tells no digest', async () => {
    const found = await resolve((request, response) => {
      response.writeHead(200, { 'content-type': OCI_MANIFEST }).end(request.method === 'HEAD' ? undefined : MANIFEST);
    });
    expect(found.digest).toBe(digestOf(MANIFEST));
  });

  const served =
    (body: string | Buffer, headers: Record<string, string> = { 'content-type': OCI_MANIFEST }): Script =>
    (request, response) => {
      if (request.method === 'HEAD') response.writeHead(405).end();
      else response.writeHead(200, headers).end(body);
    };

  test.each<[string, Script, string, string]>([
    [
      'whose digest is not the announced one',
      served(MANIFEST, { ...manifestHeaders, 'docker-content-digest': digestOf('x') }),
      'CONTENT_MISMATCH',
      'announced was',
    ],
    [
      'of another type than announced',
      served(MANIFEST, { 'content-type': OCI_INDEX }),
      'DOCUMENT_INVALID',
      'was announced as',
    ],
    [
      'of schema 1',
      served('{"schemaVersion":1,"fsLayers":[]}', {
        'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws',
      }),
      'MANIFEST_UNSUPPORTED',
      'schema 1',
    ],
    ['of 5 MiB', served(Buffer.alloc(5 << 20, 0x20)), 'TOO_LARGE', 'limit of 4194304'],
    ['that is HTML', served('<html>', { 'content-type': 'text/html' }), 'JSON_INVALID', 'Cannot read the manifest of'],
  ])('%s is refused', async (_, script, code, text) => {
    const error = await failureOf(resolve(script));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
  });

  test('whose body breaks off is asked for again', async () => {
    let cuts = 0;
    const found = await resolve((request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(405).end();
      response.writeHead(200, manifestHeaders);
      if (cuts++ > 0 || request.url === '/v2/') return void response.end(MANIFEST);
      response.write(MANIFEST.slice(0, 10), () => response.destroy());
    });
    expect(found.digest).toBe(digestOf(MANIFEST));
  });

  test('asked for by digest must be that one', async () => {
    const error = await failureOf(
      resolve((request, response) => {
        if (request.method === 'HEAD') response.writeHead(405).end();
        else response.writeHead(200, { 'content-type': OCI_MANIFEST }).end(MANIFEST);
      }, digestOf('x')),
    );
    expect(error).toMatchObject({ code: 'CONTENT_MISMATCH', message: expect.stringContaining('asked for was') });
  });

  test.each(['../../x', 'a b', '', 'sha256:ABC', `md5:${'a'.repeat(32)}`])(
    'reference %p never becomes a URL',
    async (reference) => {
      const server = await bench.server(() => undefined);
      const error = await failureOf(bench.client().repository(`${server.address}/a`).resolve(reference));
      expect(error.code).toMatch(/^(REFERENCE_INVALID|DIGEST_INVALID|DIGEST_UNSUPPORTED)$/);
      expect(server.lines().filter((line) => line.includes('manifests'))).toEqual([]);
    },
  );
});

describe('warnings', () => {
  test('are passed on once, escaped and bounded', async () => {
    const events: ProgressEvent[] = [];
    const server = await bench.server((request, response) => {
      if (request.method !== 'HEAD') return sendJson(response, 200, {});
      response.setHeader('warning', [
        '299 - "old \\"tag\\"::error::"',
        `299 - "${'x'.repeat(5000)}"`,
        '199 - "not for us"',
      ]);
      response.writeHead(200, manifestHeaders).end();
    });
    const repository = bench.client({ onEvent: (event) => events.push(event) }).repository(`${server.address}/a`);
    await repository.resolve('v1');
    await repository.resolve('v1');
    expect(events).toEqual([{ type: 'warning', message: `${server.address} warns: old "tag"::error::` }]);
  });
});

describe('mirrors', () => {
  const credentials = async (registry: string) => ({ username: 'me', password: registry });
  const image: Script = (_, response) => void response.writeHead(200, manifestHeaders).end(MANIFEST);

  test('are asked first, and the registry not at all when they have it', async () => {
    const [mirror, origin] = [await bench.server(image), await bench.server(image)];
    const client = bench.client({ mirrors: { [origin.address]: `http://${mirror.address}/proxy` } });
    await client.repository(`${origin.address}/a`).resolve('v1');
    expect(mirror.lines()).toEqual(['HEAD /v2/proxy/a/manifests/v1']);
    expect(origin.seen).toEqual([]);
  });

  test.each<[string, Script]>([['that do not have it', status(404)]])(
    '%s are left for the registry',
    async (_, script) => {
      const [mirror, origin] = [await bench.server(script), await bench.server(image)];
      const client = bench.client({ mirrors: { [origin.address]: `http://${mirror.address}` } });
      expect((await client.repository(`${origin.address}/a`).resolve('v1')).digest).toBe(digestOf(MANIFEST));
    },
  );

  test('that are down are left for the registry', async () => {
    const [mirror, origin] = [await bench.server(image), await bench.server(image)];
    await mirror.close();
    const client = bench.client({ mirrors: { [origin.address]: `http://${mirror.address}` } });
    expect((await client.repository(`${origin.address}/a`).resolve('v1')).digest).toBe(digestOf(MANIFEST));
  });

  test.each([401, 403, 500])('that answer %i are not passed by', async (code) => {
    const [mirror, origin] = [await bench.server(status(code)), await bench.server(image)];
    const client = bench.client({ mirrors: { [origin.address]: `http://${mirror.address}` } });
    await failureOf(client.repository(`${origin.address}/a`).manifest('v1'));
    expect(origin.seen).toEqual([]);
  });

  test('never see the credentials of the registry', async () => {
    const asks: Script = (_, response) => void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    const [mirror, origin] = [await bench.server(asks), await bench.server(image)];
    const client = bench.client({ credentials, mirrors: { [origin.address]: `http://${mirror.address}` } });
    await failureOf(client.repository(`${origin.address}/a`).manifest('v1'));
    const sent = mirror.seen.flatMap(({ authorization }) => (authorization === undefined ? [] : [authorization]));
    expect(sent.length).toBeGreaterThan(0);
    for (const each of sent) expect(Buffer.from(each.slice(6), 'base64').toString()).toBe(`me:${mirror.address}`);
  });

  test.each(['ftp://x', 'http://me:pw@x', 'nonsense', 'http://x/?q'])('may not be %s', (mirror) => {
    expect(() => bench.client({ mirrors: { 'docker.io': mirror } }).repository('python')).toThrow(
      /Cannot use .* as mirror of docker\.io/,
    );
  });
});

import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** A bucket that can be read: what `dvc pull` asks of S3. */
export interface ReadOnlyS3 {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Requests with a wrong signature, or none. */
  readonly refused: () => number;
  close(): Promise<void>;
}

/** What the server holds, and who may read it. */
export interface Bucket {
  readonly name: string;
  readonly objects: ReadonlyMap<string, Buffer>;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Serves a bucket on loopback: HEAD and GET of an object, and lists; each request must be signed (signature version 4). */
export async function startS3(bucket: Bucket): Promise<ReadOnlyS3> {
  let refused = 0;
  const server = createServer((request, response) => {
    request.resume();
    if (!isSigned(request, bucket)) {
      refused += 1;
      answer(response, 403, error('SignatureDoesNotMatch'));
      return;
    }
    serve(bucket, request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    refused: () => refused,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function serve(bucket: Bucket, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const [name, ...rest] = decodeURIComponent(pathname).slice(1).split('/');
  const key = rest.join('/');
  if (name !== bucket.name) answer(response, 404, error('NoSuchBucket'));
  else if (key === '') answer(response, 200, listOf(bucket, searchParams.get('prefix') ?? ''));
  else {
    const object = bucket.objects.get(key);
    if (object) answer(response, 200, object, request.method === 'HEAD');
    else answer(response, 404, error('NoSuchKey'), request.method === 'HEAD');
  }
}

function answer(response: ServerResponse, status: number, body: string | Buffer, isHead = false): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-length': bytes.length,
    'content-type': typeof body === 'string' ? 'application/xml' : 'application/octet-stream',
    etag: `"${createHash('md5').update(bytes).digest('hex')}"`,
    'last-modified': new Date(0).toUTCString(),
  });
  response.end(isHead ? undefined : bytes);
}

function listOf({ name, objects }: Bucket, prefix: string): string {
  const found = [...objects].filter(([key]) => key.startsWith(prefix));
  const contents = found.map(
    ([key, { length }]) =>
      `<Contents><Key>${key}</Key><Size>${length}</Size><LastModified>1970-01-01T00:00:00.000Z</LastModified></Contents>`,
  );
  return `<ListBucketResult><Name>${name}</Name><Prefix>${prefix}</Prefix><KeyCount>${found.length}</KeyCount><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`;
}

function error(code: string): string {
  return `<Error><Code>${code}</Code><Message>${code}</Message></Error>`;
}

/** Checks an `Authorization: AWS4-HMAC-SHA256 …` as the public description of signature version 4 says. */
function isSigned(request: IncomingMessage, { accessKey, secretKey }: Bucket): boolean {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d+)\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)$/.exec(
      request.headers.authorization ?? '',
    );
  const [, key, date = '', region = '', names = '', signature] = match ?? [];
  if (key !== accessKey) return false;
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const query = [...searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort();
  const headers = names.split(';').map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`);
  const payload = String(request.headers['x-amz-content-sha256'] ?? '');
  const canonical = [request.method, pathname, query.join('&'), headers.join(''), names, payload].join('\n');
  const scope = `${date}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const signing = [date, region, 's3', 'aws4_request'].reduce<Buffer>(
    (last, part) => createHmac('sha256', last).update(part).digest(),
    Buffer.from(`AWS4${secretKey}`),
  );
  return createHmac('sha256', signing).update(text).digest('hex') === signature;
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

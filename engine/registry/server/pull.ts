import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../../image/types.ts';
import { Refusal } from './errors.ts';
import type { ByteRange, RegistryBackend } from './types.ts';

/** GET and HEAD of a blob, whole or one range of it. Sources: distribution-spec, "Pulling blobs"; RFC 7233. */
export async function sendBlob(
  backend: RegistryBackend,
  digest: Digest,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const size = await backend.blobs.size(digest);
  if (size === undefined) throw new Refusal('BLOB_UNKNOWN', `the blob ${digest} is not there`);
  const range = request.method === 'GET' ? parseRange(request.headers.range, size) : undefined;
  const length = range === undefined ? size : range.end - range.start + 1;
  response.writeHead(range === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': String(length),
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
    ...(range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
  });
  if (request.method === 'HEAD' || length === 0) {
    response.end();
    return;
  }
  await pipeline(Readable.from(backend.blobs.read(digest, range), { objectMode: false }), response);
}

/** GET and HEAD of a manifest. Source: distribution-spec, "Pulling manifests". */
export async function sendManifest(
  backend: RegistryBackend,
  name: { readonly repository: string; readonly reference: string },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const found = await backend.manifests.get(name.repository, name.reference);
  if (found === undefined) throw new Refusal('MANIFEST_UNKNOWN', `${name.repository} has no ${name.reference}`);
  const { descriptor, content } = found;
  response.writeHead(200, {
    'content-type': descriptor.mediaType,
    'content-length': String(content.length),
    'docker-content-digest': descriptor.digest,
    etag: `"${descriptor.digest}"`,
  });
  response.end(request.method === 'HEAD' ? undefined : content);
}

/** `bytes=a-b`, `bytes=a-` or `bytes=-n`; several ranges or another unit count as none. @throws Refusal `RANGE_INVALID` */
function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (start <= end && start < size) return { start, end };
  throw new Refusal('RANGE_INVALID', `the blob has ${size} bytes`, { 'content-range': `bytes */${size}` });
}

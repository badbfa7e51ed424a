import { createHash } from 'node:crypto';
import { open, rm, utimes } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { decodePercent } from '../base/percent.ts';
import { redact } from '../base/redact.ts';

/** Answers of web servers; plugged in by the engine, which knows proxies and authorities. */
export interface WebClient {
  get(
    url: URL,
    options: { readonly headers: Readonly<Record<string, string>>; readonly signal?: AbortSignal | undefined },
  ): Promise<{
    readonly status: number;
    header(name: string): string | undefined;
    readonly body: AsyncIterable<Uint8Array>;
    /** Frees the connection without reading the body. */
    discard(): Promise<void>;
  }>;
}

/** What is remembered of a URL, so that it is read again only when it has changed. */
export interface KnownDownload {
  readonly digest: string;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

/** What a URL gives now. */
export interface Downloaded {
  /** `sha256:…` of the body. */
  readonly digest: string;
  /** As the server said it. */
  readonly lastModified?: string | undefined;
  /** The file, when the body was read; else it is the one that is known. */
  readonly path?: string | undefined;
}

/** How {@link download} behaves. */
export interface DownloadOptions {
  readonly web: WebClient;
  /** An empty folder that the file goes into. */
  readonly folder: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Makes the request conditional. */
  readonly known?: KnownDownload | undefined;
  readonly remember?: ((known: KnownDownload) => Promise<void>) | undefined;
  /** Bytes so far, and in all where the server says so. */
  readonly onProgress?: ((current: number, total: number | undefined) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a URL into a file of mode 0600 whose time is that of `Last-Modified`, else 1970, as BuildKit does; or finds that it is still the one
 * that is known.
 *
 * @throws `DOWNLOAD_FAILED` naming the URL and the status
 */
export async function download(url: URL, options: DownloadOptions): Promise<Downloaded> {
  const { known } = options;
  const conditional = {
    ...(known?.etag === undefined ? {} : { 'if-none-match': known.etag }),
    ...(known?.lastModified === undefined ? {} : { 'if-modified-since': known.lastModified }),
  };
  const headers = { 'accept-encoding': 'identity', ...options.headers, ...conditional };
  const answer = await options.web.get(url, { headers, signal: options.signal });
  if (answer.status === 304 && known) {
    await answer.discard();
    return { digest: known.digest, lastModified: known.lastModified };
  }
  if (answer.status !== 200) {
    await answer.discard();
    throw failed(url, `the server answered ${answer.status}`, hintFor(answer.status, url));
  }
  const path = join(options.folder, nameOf(url, answer.header('content-disposition')));
  const length = Number(answer.header('content-length') ?? Number.NaN);
  const { digest, size } = await write(path, answer.body, {
    ...options,
    total: Number.isNaN(length) ? undefined : length,
  });
  if (!Number.isNaN(length) && size !== length) throw failed(url, `it ended after ${size} of ${length} bytes`);
  const lastModified = answer.header('last-modified');
  const time = new Date(lastModified ?? 0);
  const modified = Number.isNaN(time.getTime()) ? new Date(0) : time;
  await utimes(path, modified, modified);
  await options.remember?.({ digest, etag: answer.header('etag'), lastModified });
  return { digest, lastModified, path };
}

/** The name of the file: the last one of the path, else what the server proposes. */
function nameOf(url: URL, disposition: string | undefined): string {
  const proposed = /filename="?([^";]+)"?/i.exec(disposition ?? '')?.[1] ?? '';
  const names = [decodePercent(posix.basename(url.pathname)), posix.basename(proposed.replaceAll('\\', '/'))];
  return names.find(isName) ?? '__unnamed__';
}

function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name) && Buffer.byteLength(name) <= 255;
}

async function write(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { onProgress, signal, total }: DownloadOptions & { readonly total: number | undefined },
): Promise<{ readonly digest: string; readonly size: number }> {
  const file = await open(path, 'wx', 0o600);
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of body) {
      signal?.throwIfAborted();
      hash.update(chunk);
      for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
      size += chunk.length;
      onProgress?.(size, total);
    }
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
  await file.close();
  return { digest: `sha256:${hash.digest('hex')}`, size };
}

function hintFor(status: number, url: URL): string | undefined {
  if (status === 404) return 'Check the address';
  if (status !== 401 && status !== 403) return undefined;
  return `Give a token: --secret id=HTTP_AUTH_TOKEN_${url.hostname},env=NAME`;
}

function failed(url: URL, state: string, hint?: string): EngineError {
  return new EngineError('DOWNLOAD_FAILED', `Cannot read ${redact(url.href)}: ${state}`, { hint });
}

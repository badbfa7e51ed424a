import { pipeline, Readable, type Duplex } from 'node:stream';
import type * as Zlib from 'node:zlib';
import { EngineError } from '../base/errors.ts';
import type { Compression } from './media-type.ts';
import { zstdFrames } from './zstd-frames.ts';

/** Loaded by the first who packs or unpacks: most commands do neither. */
const zlib = (): typeof Zlib => process.getBuiltinModule('node:zlib');

/**
 * Bytes without their compression.
 *
 * @param size bytes of the source, where nothing may follow what is packed: Node reads past zeros behind gzip, other programs refuse them
 * @throws `LAYER_UNSUPPORTED` where this Node has no zstd; `ARCHIVE_INVALID` while reading, for bytes that are damaged
 */
export async function* inflate(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  what = 'a layer',
  { size }: { readonly size?: number | undefined } = {},
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') yield* pass(source);
  else if (compression === 'gzip') {
    const codec = zlib().createGunzip();
    yield* through(source, codec, what);
    if (size !== undefined && codec.bytesWritten !== size) throw damaged(what, 'something follows them');
  } else yield* unzstd(source, what);
}

/** Bytes with that compression. @throws `LAYER_UNSUPPORTED` where this Node has no zstd */
export async function* deflate(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  level: number,
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') yield* pass(source);
  else
    yield* through(
      source,
      compression === 'gzip' ? zlib().createGzip({ level: Math.min(level, 9) }) : createZstd(level),
      'a layer',
    );
}

async function* pass(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield chunk;
}

async function* unzstd(source: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  requireUnzstd(what);
  for await (const frame of zstdFrames(source, what)) yield* through(frame, zlib().createZstdDecompress(), what);
}

async function* through(source: AsyncIterable<Uint8Array>, codec: Duplex, what: string): AsyncGenerator<Uint8Array> {
  const ours: unknown[] = [];
  const guarded = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* pass(source);
    } catch (error) {
      ours.push(error);
      throw error;
    }
  };
  // Errors come out of the iteration below; the callback keeps them from being thrown beside it.
  pipeline(Readable.from(guarded(), { objectMode: false }), codec, () => undefined);
  try {
    for await (const chunk of codec) yield chunk as Uint8Array;
  } catch (cause) {
    if (ours.length > 0) throw ours[0];
    if (!isZlibError(cause)) throw cause;
    throw damaged(what, cause.message, cause);
  }
}

function damaged(what: string, why: string, cause?: unknown): EngineError {
  return new EngineError('ARCHIVE_INVALID', `Cannot unpack ${what}: its compressed bytes are damaged (${why})`, {
    cause,
  });
}

/** By shape: an error of Node's own may come from another realm (a vm context), where instanceof says no. */
function isZlibError(error: unknown): error is { readonly code: string; readonly message: string } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(?:Z_|ZSTD_|ERR_ZSTD)/i.test(error.code)
  );
}

// Node 20 has no zstd; the types are those of Node 24.
function requireUnzstd(what: string): void {
  if ((zlib().createZstdDecompress as (() => Duplex) | undefined) === undefined)
    throw noZstd(`unpack ${what} packed with zstd`);
}

function createZstd(level: number): Duplex {
  const { createZstdCompress, constants } = zlib();
  const create = createZstdCompress as typeof createZstdCompress | undefined;
  if (create === undefined) throw noZstd('pack a layer with zstd');
  return create({ params: { [constants.ZSTD_c_compressionLevel]: level } });
}

function noZstd(action: string): EngineError {
  return new EngineError('LAYER_UNSUPPORTED', `Cannot ${action}: Node ${process.version} has no zstd`, {
    hint: 'Use Node 24, or gzip',
  });
}

import { EngineError } from './errors.ts';

/**
 * All bytes of a bounded body.
 *
 * @throws `TOO_LARGE` naming `what` when more than `limit` bytes come
 */
export async function collect(source: AsyncIterable<Uint8Array>, what: string, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > limit) throw new EngineError('TOO_LARGE', `Cannot read ${what}: it is over the limit of ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

import { createHash } from 'node:crypto';
import { EngineError } from './errors.ts';

/**
 * Passes bytes through and checks, at their end, size and SHA-256: every byte from outside goes through here.
 *
 * @throws `CONTENT_MISMATCH` with what was wanted, what came and how many bytes; as soon as there are too many bytes
 */
export async function* verify(
  source: AsyncIterable<Uint8Array>,
  expected: { readonly digest: string; readonly size: number },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > expected.size) throw mismatch(expected, `more than ${expected.size} bytes`);
    hash.update(chunk);
    yield chunk;
  }
  const digest = `sha256:${hash.digest('hex')}`;
  if (size !== expected.size) throw mismatch(expected, `${size} bytes`);
  if (digest !== expected.digest) throw mismatch(expected, `${size} bytes with digest ${digest}`);
}

function mismatch(expected: { readonly digest: string; readonly size: number }, got: string): EngineError {
  return new EngineError(
    'CONTENT_MISMATCH',
    `Cannot accept ${expected.digest}: wanted ${expected.size} bytes of it, got ${got}`,
  );
}

import { createHash } from 'node:crypto';
import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import type { Digest } from './types.ts';

const SHA256 = /^sha256:[0-9a-f]{64}$/;
/** The grammar of image-spec, descriptor.md, for every algorithm. */
const OTHER_ALGORITHM = /^(?!sha256:)[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

/** Digest of no bytes at all. */
export const EMPTY_DIGEST: Digest = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** True for `sha256:` and 64 lower-case hex digits, which alone may become a path or part of a URL. */
export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && SHA256.test(text);
}

/**
 * `text` as a digest.
 *
 * @param what names the thing in the error: `layer 3 of the manifest`
 * @throws `DIGEST_INVALID`; `DIGEST_UNSUPPORTED` for another algorithm, which the specification allows
 */
export function parseDigest(text: unknown, what: string): Digest {
  if (isDigest(text)) return text;
  const shown = typeof text === 'string' ? `'${escapeControl(text.slice(0, 160))}'` : String(typeof text);
  if (typeof text === 'string' && OTHER_ALGORITHM.test(text)) {
    throw new EngineError('DIGEST_UNSUPPORTED', `Cannot use ${what}: ${shown} isn't sha256`, {
      hint: 'Push the image again with sha256 digests',
    });
  }
  throw new EngineError('DIGEST_INVALID', `Cannot read ${what}: ${shown} isn't sha256: and 64 lower-case hex digits`);
}

/** SHA-256 of some bytes. */
export function digestOf(content: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** The 64 hex digits alone. */
export function encodedOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** The 12 digits that Docker shows. */
export function shortDigest(digest: Digest): string {
  return encodedOf(digest).slice(0, 12);
}

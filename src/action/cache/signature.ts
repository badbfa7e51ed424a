import { createHmac, timingSafeEqual } from 'node:crypto';
import { EngineError } from '../../../engine/index.ts';

/** What a signed index begins with; the document follows on the next line. */
const HEAD = /^berth-signature: hmac-sha256=([0-9a-f]{64})\n/;

/**
 * The text of an index, with its signature before it when there is a key (hardening.md 5, rule 12).
 *
 * @param name key of the entry: an older index that is saved again has another one, since entries are never rewritten, and holds no more
 */
export function signIndex(text: string, name: string, key: string | undefined): string {
  return key === undefined ? text : `berth-signature: hmac-sha256=${macOf(text, name, key).toString('hex')}\n${text}`;
}

/**
 * The document in the text of an index. Without a key a signature says nothing.
 *
 * @throws `CACHE_UNSIGNED` when there is a key, and the signature is none of it
 */
export function verifyIndex(text: string, name: string, key: string | undefined): string {
  const found = HEAD.exec(text);
  const document = found ? text.slice(found[0].length) : text;
  if (key === undefined) return document;
  const signature = Buffer.from(found?.[1] ?? '', 'hex');
  const wanted = macOf(document, name, key);
  if (signature.length === wanted.length && timingSafeEqual(signature, wanted)) return document;
  throw new EngineError(
    'CACHE_UNSIGNED',
    `Cannot use the cache index: it is ${found ? 'signed with another key, or for another entry' : 'not signed'}`,
    { hint: 'It is written anew by the next run that saves' },
  );
}

function macOf(text: string, name: string, key: string): Buffer {
  return createHmac('sha256', key).update(`${name}\n`).update(text).digest();
}

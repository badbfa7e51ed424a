import { createHmac, timingSafeEqual } from 'node:crypto';
import { EngineError } from '../../../engine/index.ts';

/** What a signed index begins with; the document follows on the next line. */
const HEAD = /^berth-signature: hmac-sha256=([0-9a-f]{64})\n/;

/** The text of an index, with its signature before it when there is a key (hardening.md 5, rule 12). @param scope it holds for no other */
export function signIndex(text: string, scope: string, key: string | undefined): string {
  return key === undefined ? text : `berth-signature: hmac-sha256=${macOf(text, scope, key).toString('hex')}\n${text}`;
}

/**
 * The document in the text of an index. Without a key a signature says nothing.
 *
 * @throws `CACHE_UNSIGNED` when there is a key, and the signature is none of it
 */
export function verifyIndex(text: string, scope: string, key: string | undefined): string {
  const found = HEAD.exec(text);
  const document = found ? text.slice(found[0].length) : text;
  if (key === undefined) return document;
  const signature = Buffer.from(found?.[1] ?? '', 'hex');
  const wanted = macOf(document, scope, key);
  if (signature.length === wanted.length && timingSafeEqual(signature, wanted)) return document;
  throw new EngineError(
    'CACHE_UNSIGNED',
    `Cannot use the cache index: it is ${found ? 'signed with another key' : 'not signed'}`,
    { hint: 'It is written anew by the next run that saves' },
  );
}

function macOf(text: string, scope: string, key: string): Buffer {
  return createHmac('sha256', key).update(`${scope}\n`).update(text).digest();
}

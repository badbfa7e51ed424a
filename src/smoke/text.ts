import { escapeControl } from '../../engine/index.ts';

/** Makes foreign text fit to print. */
export type Mask = (text: string) => string;

/** Replaces every secret by `***` and escapes control characters. */
export function createMask(secrets: readonly string[] = []): Mask {
  const longestFirst = [...new Set(secrets)].filter((secret) => secret.length > 0).sort((a, b) => b.length - a.length);
  return (text) => escapeControl(longestFirst.reduce((so, secret) => so.replaceAll(secret, '***'), text));
}

const BODY_LIMIT = 2048;

/** The first 2 KB of an answer as text; other bytes are said, not shown. */
export function excerptOf(body: Uint8Array, contentType: string): string {
  const head = Buffer.from(body.subarray(0, BODY_LIMIT));
  const more = body.length > BODY_LIMIT ? `… (${body.length} bytes in all)` : '';
  const text = new TextDecoder('utf-8').decode(head);
  const replaced = [...text].filter((character) => character === '\ufffd').length;
  if (replaced > 8) return `(${body.length} bytes of ${contentType === '' ? 'unknown type' : contentType})`;
  return `${text}${more}`;
}

import { UsageError } from '../usage-error.ts';

/** Bytes of a key sequence that leaves a container to itself. */
export type DetachKeys = Uint8Array;

/** Docker's: Ctrl-P, Ctrl-Q. */
export const DEFAULT_DETACH_KEYS: DetachKeys = Uint8Array.of(16, 17);

/** `ctrl-p,ctrl-q` or single characters, separated by commas. @throws naming the key */
export function parseDetachKeys(text: string): DetachKeys {
  return Uint8Array.from(text.split(',').map((key) => byteOf(key, text)));
}

function byteOf(key: string, text: string): number {
  if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
  const match = /^ctrl-([a-z@[\\\]^_])$/i.exec(key);
  if (match?.[1]) return match[1].toUpperCase().charCodeAt(0) & 31;
  throw new UsageError(
    `Unknown character: '${key}' in "${text}"`,
    'give single characters or ctrl- with a letter or one of @ [ \\ ] ^ _',
  );
}

/** What is left of the input, and whether the keys were in it. A beginning of the sequence is held back until the next byte shows what it is. */
export function findDetach(
  keys: DetachKeys,
): (chunk: Uint8Array) => { readonly bytes: Uint8Array; readonly detached: boolean } {
  let matched = 0;
  return (chunk) => {
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte === keys[matched]) {
        matched += 1;
        if (matched === keys.length) return { bytes: Uint8Array.from(out), detached: true };
      } else {
        out.push(...keys.subarray(0, matched));
        matched = byte === keys[0] ? 1 : 0;
        if (matched === 0) out.push(byte);
      }
    }
    return { bytes: Uint8Array.from(out), detached: false };
  };
}

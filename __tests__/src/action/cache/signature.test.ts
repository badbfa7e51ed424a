import { describe, expect, test } from '@jest/globals';
import { signIndex, verifyIndex } from '../../../../src/action/cache/signature.ts';

const KEY = 'a key that is long enough';
const TEXT = '{"v":1}';

describe('the signature of an index', () => {
  test('is good for its text, its scope and its key', () => {
    const signed = signIndex(TEXT, 'scope', KEY);
    expect(signed).toMatch(/^berth-signature: hmac-sha256=[0-9a-f]{64}\n\{"v":1\}$/);
    expect(verifyIndex(signed, 'scope', KEY)).toBe(TEXT);
    expect(signed).not.toContain(KEY);
  });

  test.each([
    ['another text', signIndex(TEXT, 'scope', KEY).replace('1}', '2}'), 'signed with another key'],
    ['another scope', signIndex(TEXT, 'other', KEY), 'signed with another key'],
    ['another key', signIndex(TEXT, 'scope', `${KEY}!`), 'signed with another key'],
    ['no signature', TEXT, 'not signed'],
    ['a signature that is none', `berth-signature: hmac-sha256=00\n${TEXT}`, 'not signed'],
  ])('is not good for %s', (_name, text, why) => {
    expect(() => verifyIndex(text, 'scope', KEY)).toThrow(expect.objectContaining({ code: 'CACHE_UNSIGNED' }));
    expect(() => verifyIndex(text, 'scope', KEY)).toThrow(why);
  });

  test('is not asked for without a key', () => {
    expect(verifyIndex(TEXT, 'scope', undefined)).toBe(TEXT);
    expect(verifyIndex(signIndex(TEXT, 'scope', KEY), 'scope', undefined)).toBe(TEXT);
    expect(signIndex(TEXT, 'scope', undefined)).toBe(TEXT);
  });
});

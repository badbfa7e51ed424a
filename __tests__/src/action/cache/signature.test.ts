import { describe, expect, test } from '@jest/globals';
import { signIndex, verifyIndex } from '../../../../src/action/cache/signature.ts';

const KEY = 'a key that is long enough';
const TEXT = '{"v":1}';

describe('the signature of an index', () => {
  test('is good for its text, its entry and its key', () => {
    const signed = signIndex(TEXT, 'index-7', KEY);
    expect(signed).toMatch(/^berth-signature: hmac-sha256=[0-9a-f]{64}\n\{"v":1\}$/);
    expect(verifyIndex(signed, 'index-7', KEY)).toBe(TEXT);
    expect(signed).not.toContain(KEY);
  });

  test.each([
    ['another text', signIndex(TEXT, 'index-7', KEY).replace('1}', '2}'), 'signed with another key'],
    [
      'another entry, as when an older index is saved again',
      signIndex(TEXT, 'index-8', KEY),
      'signed with another key',
    ],
    ['another key', signIndex(TEXT, 'index-7', `${KEY}!`), 'signed with another key'],
    ['no signature', TEXT, 'not signed'],
    ['a signature that is none', `berth-signature: hmac-sha256=00\n${TEXT}`, 'not signed'],
  ])('is not good for %s', (_name, text, why) => {
    expect(() => verifyIndex(text, 'index-7', KEY)).toThrow(expect.objectContaining({ code: 'CACHE_UNSIGNED' }));
    expect(() => verifyIndex(text, 'index-7', KEY)).toThrow(why);
  });

  test('is not asked for without a key', () => {
    expect(verifyIndex(TEXT, 'index-7', undefined)).toBe(TEXT);
    expect(verifyIndex(signIndex(TEXT, 'index-7', KEY), 'index-7', undefined)).toBe(TEXT);
    expect(signIndex(TEXT, 'index-7', undefined)).toBe(TEXT);
  });
});

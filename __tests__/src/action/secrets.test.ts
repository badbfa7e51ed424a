import { describe, expect, test } from '@jest/globals';
import { readProxyPasswords } from '../../../src/action/environment.ts';
import { basicForms, createRedactor, findSecret, maskForms } from '../../../src/action/secrets.ts';

const LINES = '-----BEGIN KEY-----\nabcdefgh/+==\n--\n-----END KEY-----\n';
const ODD = `p"a%s&+\\ w/örd ${'\u{1f511}'}`;

describe('maskForms', () => {
  test('has the value, its lines, and what it becomes in base64, URLs and JSON', () => {
    const forms = maskForms(ODD);
    const base64 = Buffer.from(ODD).toString('base64');
    for (const form of [
      ODD,
      base64,
      base64.replace(/=+$/, ''),
      Buffer.from(ODD).toString('base64url'),
      encodeURIComponent(ODD),
      JSON.stringify(ODD).slice(1, -1),
    ]) {
      expect(forms).toContain(form);
    }
    expect(maskForms(LINES)).toEqual(expect.arrayContaining([LINES, '-----BEGIN KEY-----', 'abcdefgh/+==']));
    expect(maskForms(LINES)).not.toContain('--');
  });

  test('has what basic authentication sends', () => {
    expect(basicForms('me', 'pä:ss')).toContain(Buffer.from('me:pä:ss').toString('base64'));
    expect(basicForms('me', '')).toEqual([]);
  });

  test('takes lone surrogates', () => {
    expect(maskForms('abc\ud800def')).toContain('abc\ud800def');
  });
});

describe('findSecret', () => {
  const secrets = [{ name: 'password', value: 'correct horse battery' }];

  test.each([0, 1, 2, 3, 4])('finds base64 of the value behind %d other bytes', (before) => {
    const text = Buffer.from(`${'u'.repeat(before)}correct horse battery and more`).toString('base64');
    expect(findSecret(text, secrets)).toBe('password');
  });

  test('finds nothing in what is not it', () => {
    expect(findSecret('correct horse', secrets)).toBeUndefined();
    expect(findSecret(Buffer.from('incorrect horse').toString('base64'), secrets)).toBeUndefined();
  });
});

test('the password of a proxy is known as it is written and as it is sent', () => {
  const env = { HTTPS_PROXY: 'http://me:p%40ss-word@proxy:3128', http_proxy: 'http://proxy:3128', ALL_PROXY: 'none' };
  expect(readProxyPasswords(env)).toEqual(['p%40ss-word', 'p@ss-word']);
  expect(readProxyPasswords({ https_proxy: 'me:secret-one@proxy:3128', HTTP_PROXY: 'http://me:b@proxy' })).toEqual([
    'secret-one',
    'secret-one',
  ]);
});

test('the redactor leaves no rest of a longer secret behind', () => {
  const redact = createRedactor([
    { name: 'a', value: 'token' },
    { name: 'b', value: 'token-and-more' },
  ]);
  expect(redact('x token-and-more y token z')).toBe('x *** y *** z');
  expect(createRedactor([{ name: 'short', value: 'ab' }])('abc')).toBe('abc');
});

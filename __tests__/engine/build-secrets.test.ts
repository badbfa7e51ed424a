import { describe, expect, test } from '@jest/globals';
import { forbiddenValues } from '../../engine/build-secrets.ts';

const value = (text: string): Uint8Array => Buffer.from(text);

describe('values that no layer may hold', () => {
  test('are found in base64 wherever they stand in it', () => {
    const secret = 's3cr3t+value/0';
    const forms = forbiddenValues({ secrets: [{ id: 'a', value: value(`${secret}\n`) }] });
    for (const before of ['', 'x', 'xy', 'user:']) {
      for (const after of ['', 'z', 'zz']) {
        const text = Buffer.from(`${before}${secret}${after}`).toString('base64');
        expect(forms.some((form) => text.includes(Buffer.from(form.value).toString('latin1')))).toBe(true);
      }
    }
    expect(forms.map(({ form }) => form)).toEqual(['', 'in base64', 'in base64', 'in base64', 'percent-encoded']);
    expect(new Set(forms.map(({ id }) => id)).size).toBe(forms.length);
  });

  test('are not looked for when they are short, or allowed', () => {
    expect(forbiddenValues({ secrets: [{ id: 'a', value: value('1234567\n') }] })).toEqual([]);
    const secrets = [{ id: 'a', value: value('12345678') }];
    expect(forbiddenValues({ secrets, allowSecretInLayer: true })).toEqual([]);
    expect(forbiddenValues({ knownSecrets: secrets })).not.toEqual([]);
  });

  test('may be bytes that are no text', () => {
    const forms = forbiddenValues({ secrets: [{ id: 'a', value: Buffer.from('ff00fe01fd02fc03', 'hex') }] });
    expect(forms.map(({ form }) => form)).toEqual(['', 'in base64', 'in base64', 'in base64']);
  });
});

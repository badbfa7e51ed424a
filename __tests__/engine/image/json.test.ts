import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readJson } from '../../../engine/image/json.ts';
import { runs } from '../../helpers/property.ts';

describe('the strict JSON reader', () => {
  test('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        fc.pre(
          !/[eE][+-]?\d{2,}|\d{16,}/.test(text) &&
            text.isWellFormed() &&
            (JSON.stringify(JSON.parse(text)) ?? '').isWellFormed(),
        );
        expect(readJson(text, 'it')).toEqual(JSON.parse(text));
      }),
      runs(),
    );
  });

  test('reads no more than JSON.parse reads, whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0019eE+-.truefalsn \t\n') }), (text) => {
        let value: unknown;
        try {
          value = readJson(text, 'it');
        } catch (error) {
          expect(error).toMatchObject({ code: 'JSON_INVALID' });
          return;
        }
        expect(value).toEqual(JSON.parse(text));
      }),
      runs(2000),
    );
  });

  test.each([
    ['{"a":1,"a":2}', "the key 'a' is ambiguous"],
    ['{"\\u0061":1,"a":2}', "the key 'a' is ambiguous"],
    ['{"size":9007199254740993}', 'too large to be kept exactly'],
    ['[1e400]', 'too large'],
    ['["\\ud800"]', 'lone surrogate'],
    ['{"\\udc00":1}', 'lone surrogate'],
    ['\ufeff{}', "isn't JSON"],
    ['[1,]', "isn't JSON"],
    ['{"a":1,}', 'a string is expected'],
    ['{} {}', 'there is more after its end'],
    ['["\n"]', 'control character'],
    ['["\\x"]', 'an escape that JSON has not'],
    ['"abc', 'a string has no end'],
    ['[01]', "',' is expected"],
    ['[+1]', "isn't JSON"],
    ['[NaN]', "isn't JSON"],
    ['', 'it ends too early'],
    ['['.repeat(100_000), 'nested more than 64 levels'],
    ['{"a":'.repeat(100_000), 'nested more than 64 levels'],
  ])('refuses %.30j', (text, state) => {
    expect(() => readJson(text, 'the config')).toThrow(expect.objectContaining({ code: 'JSON_INVALID' }));
    expect(() => readJson(text, 'the config')).toThrow(state);
  });

  test('refuses what is not UTF-8', () => {
    expect(() => readJson(Buffer.from([0x22, 0xff, 0x22]), 'it')).toThrow("it isn't UTF-8");
  });

  test('takes __proto__ for a key like any other', () => {
    const value = readJson('{"__proto__":{"polluted":true},"constructor":1}', 'it') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  test('reads a string of megabytes', () => {
    expect(readJson(JSON.stringify('x'.repeat(4_000_000)), 'it')).toHaveLength(4_000_000);
  });
});

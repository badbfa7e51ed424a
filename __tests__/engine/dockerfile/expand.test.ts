import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createExpander } from '../../../engine/dockerfile/expand.ts';
import { SyntaxMistake } from '../../../engine/dockerfile/errors.ts';
import { runs } from '../../helpers/property.ts';

const none = (): undefined => undefined;

describe('createExpander', () => {
  test('refuses nesting that is too deep in place of overflowing the stack', () => {
    const text = '${A:-'.repeat(10_000) + 'x' + '}'.repeat(10_000);
    expect(() => createExpander('\\').word(text, none)).toThrow('nested too deep');
  });

  test('takes a hundred levels', () => {
    const text = '${A:-'.repeat(100) + 'x' + '}'.repeat(100);
    expect(createExpander('\\').word(text, none)).toBe('x');
  });

  test('is done with a pattern of many stars on a long value', () => {
    const lookup = (): string => 'a'.repeat(2000);
    expect(createExpander('\\').word(`\${V##${'*a'.repeat(30)}b}`, lookup)).toHaveLength(2000);
  });

  test('does not expand what a variable holds', () => {
    const values: Readonly<Record<string, string>> = { A: '$B', B: '$A' };
    expect(createExpander('\\').word('$A', (name) => values[name])).toBe('$B');
  });

  test('names the variable and the message of ${name:?message}', () => {
    expect(() => createExpander('\\').word('${TOKEN:?pass --build-arg TOKEN}', none)).toThrow(
      'TOKEN: pass --build-arg TOKEN',
    );
  });

  test('throws nothing but its own mistake on any text', () => {
    const part = fc.constantFrom(
      '$',
      '{',
      '}',
      ':',
      '-',
      '+',
      '?',
      '#',
      '%',
      '/',
      '\\',
      '"',
      "'",
      'A',
      '*',
      ' ',
      '${A',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
        try {
          createExpander('\\').words(parts.join(''), (name) => (name === 'A' ? 'a b' : undefined));
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxMistake);
        }
      }),
      runs(1000),
    );
  });

  test('gives back a text without special characters', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9 ./_-]*$/), (text) => {
        expect(createExpander('\\').word(text, none)).toBe(text);
      }),
      runs(),
    );
  });
});

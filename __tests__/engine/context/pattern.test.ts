import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readIgnoreLines } from '../../../engine/context/ignorefile.ts';
import { compilePatterns } from '../../../engine/context/pattern/ignore.ts';
import { matchTokens } from '../../../engine/context/pattern/match.ts';
import { createIgnoreMatcher } from '../../../engine/context/pattern/matcher.ts';
import { tokenize } from '../../../engine/context/pattern/tokens.ts';
import { runs } from '../../helpers/property.ts';

function matcherOf(...lines: readonly string[]) {
  const compiled = compilePatterns(lines);
  if ('bad' in compiled) throw new Error(`${compiled.bad} is no pattern`);
  return createIgnoreMatcher(compiled.patterns);
}

describe('an ignored directory', () => {
  test.each([
    [['*'], 'app', false],
    [['*', '!app/x'], 'app', true],
    [['*', '!app/models/*.onnx'], 'app', true],
    [['*', '!app/models/*.onnx'], 'app/models', true],
    [['*', '!app/models/*.onnx'], 'app/tests', false],
    [['*', '!app/models/*.onnx'], 'application', false],
    [['*', '!**/*.py'], 'node_modules/deep', true],
    [['*', '!a?/x'], 'ab', true],
    [['*', '!a?/x'], 'ab/y', false],
  ])('with %j need be read: %s is %s', (lines, directory, wanted) => {
    expect(matcherOf(...lines).mayHoldExceptions(directory)).toBe(wanted);
  });

  test('is read whenever an exception matches below it', () => {
    const name = fc.constantFrom('a', 'b', 'ab');
    const path = fc.array(name, { minLength: 2, maxLength: 4 });
    const pattern = fc.array(fc.constantFrom('a', 'b', '*', '**', '?', 'a*'), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(path, pattern, (parts, patternParts) => {
        const matcher = matcherOf(`!${patternParts.join('/')}`);
        const tokens = tokenize(patternParts.join('/'), { doubleStar: true }) ?? [];
        fc.pre(matchTokens(tokens, parts.join('/')) === 'whole');
        for (let depth = 1; depth < parts.length; depth += 1) {
          expect(matcher.mayHoldExceptions(parts.slice(0, depth).join('/'))).toBe(true);
        }
      }),
      runs(),
    );
  });
});

describe('patterns', () => {
  test('with many stars are matched in no time to speak of', () => {
    const tokens = tokenize(`${'*a'.repeat(40)}b`, { doubleStar: false }) ?? [];
    expect(matchTokens(tokens, 'a'.repeat(4000))).toBe('prefix');
  });

  test('never throw, whatever the text of an ignore file is', () => {
    const text = fc.array(
      fc.constantFrom('*', '**', '/', '!', '[', ']', '^', '-', '\\', 'a', '\n', ' ', '#', '..', '?'),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(text, fc.string(), (parts, path) => {
        const compiled = compilePatterns(readIgnoreLines(parts.join('')));
        if (!('patterns' in compiled)) return;
        const { isIgnored } = createIgnoreMatcher(compiled.patterns).verdict(path, undefined);
        expect([true, false]).toContain(isIgnored);
      }),
      runs(1000),
    );
  });
});

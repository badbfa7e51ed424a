import { describe, expect, test } from '@jest/globals';
import { runs } from '../helpers/property.ts';
import { TARGETS, textOf } from './index.ts';
import { slowMatch } from './slow-match.ts';

/** `npm run fuzz` takes others, and for longer. */
const RUNS = runs(200).numRuns;
const SEED = Number(process.env['BERTH_PROPERTY_SEED'] ?? 1);

describe('a text that began as a real one', () => {
  test.each(TARGETS)('is read as $name or refused by name', async (target) => {
    expect(target.material.seeds.length).toBeGreaterThan(5);
    for (let at = 0; at < RUNS; at += 1) {
      try {
        await target.check(textOf(target, SEED, at));
      } catch (error) {
        throw new Error(`${target.name} ${SEED}:${at}, ${JSON.stringify(textOf(target, SEED, at))}`, { cause: error });
      }
    }
  });

  test('is the same for the same numbers, and another for others', () => {
    const [target] = TARGETS;
    if (!target) throw new Error('no targets');
    const texts = [textOf(target, 1, 7), textOf(target, 1, 7), textOf(target, 1, 8), textOf(target, 2, 7)];
    expect([texts[0] === texts[1], new Set(texts).size]).toEqual([true, 3]);
  });
});

describe('the slow reader of patterns', () => {
  test.each([
    ['a/**/b', 'a/b', true],
    ['a/**/b', 'a/x/y/b', true],
    ['a/*', 'a/b/c', false],
    ['**/b', 'xb', false],
    ['**b', 'xb', true],
    ['a**', 'ab/c', true],
    ['[a-c]?', 'bz', true],
    ['[^a-c]', 'b', false],
    ['\\*', '*', true],
    ['**', 'a/b', true],
  ])('knows whether %s matches %s: %s', (pattern, path, wanted) => {
    expect(slowMatch(pattern, path)).toBe(wanted);
  });
});

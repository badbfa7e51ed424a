import { describe, expect, test } from '@jest/globals';
import { parseFilter, pattern } from '../../../src/cli/filter.ts';
import { OperandsError } from '../../../src/cli/usage-error.ts';

const KNOWN = { dangling: true, label: true, name: true, type: true, until: true };
const parse = (word: string): unknown => parseFilter(word, KNOWN, { type: ['builtin', 'custom'] });

describe('a filter', () => {
  test.each(['dangling=maybe', 'dangling=', 'type=x', 'until=yesterday'])(
    'refuses %s, as Docker with code 1',
    (word) => {
      expect(() => parse(word)).toThrow(OperandsError);
      expect(() => parse(word)).toThrow(`invalid filter '${word}'`);
    },
  );

  test.each([
    ['dangling=0', { name: 'dangling', value: '0' }],
    ['type=custom', { name: 'type', value: 'custom' }],
    ['until=24h', { name: 'until', value: '24h' }],
    ['label!=maybe', { name: 'label', value: 'maybe', negated: true }],
  ])('takes %s', (word, filter) => expect(parse(word)).toEqual(filter));

  test('finds names by a pattern that may stand anywhere, and by what is none', () => {
    const named = (value: string): string[] => ['web', 'web-2', 'my[web'].filter((name) => pattern(value).test(name));
    expect(named('web')).toEqual(['web', 'web-2', 'my[web']);
    expect(named('^web$')).toEqual(['web']);
    expect(named('[web')).toEqual(['my[web']);
  });
});

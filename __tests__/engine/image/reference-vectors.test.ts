import { expect, test } from '@jest/globals';
import { DOMAIN, IDENTIFIER, NAME, REFERENCE } from '../../../engine/image/grammar.ts';
import { matchesPattern, sortReferences } from '../../../engine/image/reference-list.ts';
import {
  familiarName,
  familiarString,
  formatReference,
  nameOf,
  parseAnyReference,
  parseReference,
  parseStrict,
  toPullReference,
} from '../../../engine/image/reference.ts';
import { existsSync } from 'node:fs';
import { describeVectors, readVectors, vectorPath } from '../../helpers/vectors.ts';

interface Expected {
  readonly error?: string;
  readonly string?: string;
  readonly domain?: string;
  readonly path?: string;
  readonly name?: string;
  readonly tag?: string;
  readonly digest?: string;
  readonly familiar_name?: string;
  readonly familiar_string?: string;
}
interface Case {
  readonly input: string;
  readonly parse?: Expected;
  readonly normalized?: Expected;
  readonly any?: Expected;
  readonly docker_ref?: Expected;
}
interface Row {
  readonly input: string;
  readonly match: boolean;
  readonly groups?: readonly string[];
}
interface Operations {
  readonly match: readonly { reference: string; pattern: string; match: boolean }[];
  readonly combine: readonly { name: string; tag: string; digest: string; combined: string }[];
  readonly bad_names: readonly { name: string }[];
  readonly sort: readonly { unsorted: readonly string[]; sorted: readonly string[] }[];
}

const isThere = existsSync(vectorPath('references'));
const grammar = isThere
  ? readVectors<Record<'domain' | 'full_name' | 'reference' | 'identifier', Row[]>>('references', 'grammar.json')
  : undefined;
const cases = isThere
  ? ['references.json', 'more.json'].flatMap((file) => readVectors<{ cases: Case[] }>('references', file).cases)
  : [];
const operations = isThere ? readVectors<Operations>('references', 'operations.json') : undefined;

/** What a reader gives, or the code of its error. */
function outcome<T>(act: () => T): T | string {
  try {
    return act();
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describeVectors('references', () => {
  const said = (expected: Expected): unknown => (expected.error === undefined ? { ...expected } : 'REFERENCE_INVALID');

  test.each(cases.flatMap((c) => (c.parse ? [[c.input, c.parse] as const] : [])))('grammar: %s', (input, expected) => {
    const parts = outcome(() => {
      const reference = parseStrict(input);
      return { ...reference, name: nameOf(reference), string: formatReference(reference) };
    });
    expect(parts).toEqual(said(expected));
  });

  test.each(cases.flatMap((c) => (c.normalized ? [[c.input, c.normalized] as const] : [])))(
    'as a user types it: %s',
    (input, expected) => {
      const parts = outcome(() => {
        const reference = parseReference(input);
        const names = { familiar_name: familiarName(reference), familiar_string: familiarString(reference) };
        return { ...reference, ...names, name: nameOf(reference), string: formatReference(reference) };
      });
      expect(parts).toEqual(said(expected));
    },
  );

  test.each(cases.flatMap((c) => (c.any ? [[c.input, c.any] as const] : [])))('name or id: %s', (input, expected) => {
    const text = outcome(() => {
      const any = parseAnyReference(input);
      return 'id' in any ? any.id : formatReference(any);
    });
    expect(text).toBe(expected.error === undefined ? expected.string : 'REFERENCE_INVALID');
  });

  test.each(cases.flatMap((c) => (c.docker_ref ? [[c.input, c.docker_ref] as const] : [])))(
    'for pulling: %s',
    (input, expected) => {
      const text = outcome(() => formatReference(toPullReference(parseReference(input))));
      expect(text).toBe(expected.error === undefined ? expected.string : 'REFERENCE_INVALID');
    },
  );

  test.each(rows('domain'))('domain: %s', (input, { match }) => expect(DOMAIN.test(input)).toBe(match));
  test.each(rows('identifier'))('identifier: %s', (input, { match }) => expect(IDENTIFIER.test(input)).toBe(match));
  test.each(rows('full_name'))('full name: %s', (input, row) => expectGroups(NAME, input, row));
  test.each(rows('reference'))('reference: %s', (input, row) => expectGroups(REFERENCE, input, row));

  test.each(operations?.match ?? [])('$pattern on $reference: $match', ({ reference, pattern, match }) => {
    expect(matchesPattern(parseReference(reference), pattern)).toBe(match);
  });

  test.each(operations?.combine ?? [])('joins to $combined', ({ name, tag, digest, combined }) => {
    const parts = { ...(tag ? { tag } : {}), ...(digest ? { digest } : {}) };
    expect(formatReference({ ...parseStrict(name), ...parts })).toBe(combined);
  });

  test.each(operations?.bad_names ?? [])('refuses the name $name', ({ name }) => {
    expect(outcome(() => parseStrict(name).tag ?? 'no tag')).toMatch(/^(REFERENCE_INVALID|tag)$/);
  });

  test.each(operations?.sort ?? [])('sorts $unsorted', ({ unsorted, sorted }) => {
    expect(sortReferences(unsorted)).toEqual(sorted);
  });
});

function rows(list: 'domain' | 'full_name' | 'reference' | 'identifier'): (readonly [string, Row])[] {
  return (grammar?.[list] ?? []).map((row) => [row.input, row] as const);
}

function expectGroups(expression: RegExp, input: string, row: Row): void {
  const match = expression.exec(input);
  expect(match !== null).toBe(row.match);
  if (match && row.groups && row.groups.length > 0) expect(match.slice(1).map((g) => g ?? '')).toEqual(row.groups);
}

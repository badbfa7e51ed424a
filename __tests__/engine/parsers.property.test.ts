import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isEngineError } from '../../engine/base/errors.ts';
import { readIgnoreLines } from '../../engine/context/ignorefile.ts';
import { compilePatterns, matchesPath } from '../../engine/context/pattern/ignore.ts';
import { parse, parseStages, type Ast } from '../../engine/dockerfile/index.ts';
import { formatReference, parseReference, toPullReference } from '../../engine/image/reference.ts';
import { lint } from '../helpers/lint.ts';
import { runs } from '../helpers/property.ts';

const RUNS = runs(300);

/** Words that mean something to the parsers, and some that mean nothing. */
const WORD = fc.constantFrom(
  ...[
    'FROM',
    'RUN',
    'COPY',
    'ENV',
    'ARG',
    'LABEL',
    'CMD',
    'ONBUILD',
    'EXPOSE',
    'AS',
    'a',
    'scratch',
    '--from=a',
    '--mount=type=cache,target=/x',
  ],
  ...[
    '$A',
    '${A:-b}',
    '${A#*}',
    '"',
    "'",
    '\\',
    '\\\n',
    '\n',
    '\n\n',
    '#',
    '# check=skip=all\n',
    '<<E',
    '\nE\n',
    '[',
    '"b"',
    ']',
    '=',
    ',',
    ' ',
    '\t',
  ],
  ...['\u00e9', '\u{1f40b}', '\r\n', '*', '**', '!', '/', '..', ':', '@', 'sha256:', '[a-', ']]'],
);
const TEXT = fc.oneof(
  fc.array(WORD, { maxLength: 60 }).map((words) => words.join(' ')),
  fc.array(WORD, { maxLength: 60 }).map((words) => words.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
);

/** What `act` gives, or the error of the engine; anything else that is thrown fails the test. */
function outcome<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (isEngineError(error)) return undefined;
    throw error;
  }
}

describe('a Dockerfile of any words', () => {
  test('is read or refused with a line of the file', async () => {
    await fc.assert(
      fc.asyncProperty(TEXT, async (text) => {
        const { error, warnings } = await lint(text);
        expect(error === undefined || isEngineError(error)).toBe(true);
        const lines = text.split('\n').length;
        const places = [...warnings.map(({ location }) => location), isEngineError(error) ? error.location : undefined];
        for (const place of places) {
          if (place) expect(place.endLine).toBeLessThanOrEqual(lines);
          if (place) expect(place.startLine).toBeLessThanOrEqual(place.endLine);
        }
      }),
      RUNS,
    );
  });

  test('says the same with other line ends, and with a byte order mark', () => {
    const shape = (ast: Ast | undefined): unknown =>
      ast && ast.instructions.map(({ value, args, startLine, endLine }) => ({ value, args, startLine, endLine }));
    fc.assert(
      fc.property(TEXT, (words) => {
        const text = words.replaceAll('\r', '').replaceAll('\uFEFF', '');
        const plain = shape(outcome(() => parse(text, { file: 'Dockerfile' })));
        expect(shape(outcome(() => parse(`\uFEFF${text}`, { file: 'Dockerfile' })))).toEqual(plain);
        // A carriage return is part of the text of a here-document, and of a quoted word over lines.
        if (text.includes('<<')) return;
        expect(shape(outcome(() => parse(text.replaceAll('\n', '\r\n'), { file: 'Dockerfile' })))).toEqual(plain);
      }),
      RUNS,
    );
  });

  test('comes back the same when its instructions are written out again', () => {
    fc.assert(
      fc.property(TEXT, (text) => {
        const ast = outcome(() => parse(text, { file: 'Dockerfile' }));
        if (!ast || ast.directives.escape !== '\\' || ast.instructions.some(({ heredocs }) => heredocs.length > 0))
          return;
        const again = `\n${ast.instructions.map(({ original }) => original).join('\n')}\n`;
        if (ast.instructions.some(({ original }) => /[\\#]|^\s*$/.test(original))) return;
        const read = outcome(() => parse(again, { file: 'Dockerfile' }));
        expect(read?.instructions.map(({ value, args }) => [value, args])).toEqual(
          ast.instructions.map(({ value, args }) => [value, args]),
        );
        expect(outcome(() => parseStages(read ?? ast))?.stages.length).toBe(
          outcome(() => parseStages(ast))?.stages.length,
        );
      }),
      RUNS,
    );
  });
});

describe('an ignore file of any lines', () => {
  test('is compiled or names the bad pattern, and matches any path without an end', () => {
    fc.assert(
      fc.property(
        TEXT,
        fc.array(fc.constantFrom('a', 'b.c', '..', '*', '\u00e9', 'sub'), { minLength: 1, maxLength: 12 }),
        (text, parts) => {
          const compiled = compilePatterns(readIgnoreLines(text));
          if ('bad' in compiled) expect(typeof compiled.bad).toBe('string');
          else
            for (const pattern of compiled.patterns)
              expect(typeof matchesPath(pattern, parts.join('/'))).toBe('boolean');
        },
      ),
      RUNS,
    );
  });

  test('reads its own lines again as they are', () => {
    fc.assert(
      fc.property(TEXT, (text) => {
        const lines = readIgnoreLines(text).filter((line) => !/^!?[#\s]|\s$|^!?$/.test(line));
        expect(readIgnoreLines(lines.join('\n'))).toEqual(lines);
      }),
      RUNS,
    );
  });

  test('hides with stars what plain names hide', () => {
    const name = fc.stringMatching(/^[a-z]{1,6}$/);
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 5 }), (parts) => {
        const path = parts.join('/');
        for (const text of [path, parts.map(() => '*').join('/'), `**/${parts.at(-1)}`, '**']) {
          const compiled = compilePatterns([text]);
          if ('bad' in compiled) throw new Error(text);
          expect(compiled.patterns.every((pattern) => matchesPath(pattern, path))).toBe(true);
        }
      }),
      RUNS,
    );
  });
});

describe('a reference of any text', () => {
  const part = fc.constantFrom(
    'a',
    'B',
    '0',
    '-',
    '_',
    '.',
    '/',
    ':',
    '@',
    'sha256',
    'localhost',
    '[::1]',
    'f'.repeat(64),
    'docker.io',
    '5000',
  );
  const reference = fc.oneof(
    fc.array(part, { maxLength: 10 }).map((parts) => parts.join('')),
    fc.string({ maxLength: 60 }),
  );

  test('is read or refused, and what was read is read again as the same', () => {
    fc.assert(
      fc.property(reference, (text) => {
        const read = outcome(() => parseReference(text));
        if (!read) return;
        expect(parseReference(formatReference(read))).toEqual(read);
        const pulled = toPullReference(read);
        expect(toPullReference(pulled)).toEqual(pulled);
        expect(parseReference(formatReference(pulled))).toEqual(pulled);
      }),
      runs(2000),
    );
  });

  test('of many thousand letters takes no time', () => {
    for (const text of [
      `${'a-'.repeat(50_000)}`,
      `${'a/'.repeat(50_000)}`,
      `a:${'b'.repeat(100_000)}`,
      `${'a.'.repeat(50_000)}@`,
    ]) {
      expect(outcome(() => parseReference(text))).toBeUndefined();
    }
  });
});

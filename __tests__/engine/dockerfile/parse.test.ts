import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EngineError } from '../../../engine/base/errors.ts';
import { DockerfileError } from '../../../engine/dockerfile/errors.ts';
import { parse, parseStages } from '../../../engine/dockerfile/index.ts';
import { MAX_INSTRUCTIONS, MAX_SIZE } from '../../../engine/dockerfile/decode.ts';
import { runs } from '../../helpers/property.ts';

const file = 'app/Dockerfile';

function errorOf(text: string | Uint8Array): DockerfileError {
  try {
    parseStages(parse(text, { file }));
  } catch (error) {
    if (error instanceof DockerfileError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('parse', () => {
  test('names line and column of a NUL byte', () => {
    const error = errorOf('FROM a\nRUN b\0c\n');
    expect(error.message).toContain('line 2, column 6');
    expect(error.location).toMatchObject({ file, startLine: 2, endLine: 2 });
  });

  test('refuses a file over the limit, naming both sizes', () => {
    const error = errorOf(Buffer.alloc(MAX_SIZE + 1, 'a\n'));
    expect(error.code).toBe('DOCKERFILE_TOO_LARGE');
    expect(error.message).toContain(`${MAX_SIZE + 1} bytes`);
  });

  test('refuses a file of a million instructions, naming the limit', () => {
    const error = errorOf(`FROM a\n${'USER 1\n'.repeat(590_000)}`);
    expect(error.code).toBe('DOCKERFILE_TOO_LARGE');
    expect(error.message).toContain(`${MAX_INSTRUCTIONS} instructions`);
  });

  test('refuses a thousand here-documents in one instruction', () => {
    expect(errorOf(`FROM a\nRUN ${'<<A \\\n'.repeat(2000)}`).message).toContain('here-documents');
  });

  test('reads a file with a million comment lines', () => {
    expect(parse(`FROM a\n${'#\n'.repeat(1_000_000)}RUN b`, { file }).endLine).toBe(1_000_002);
  });

  test('refuses text that is not UTF-8 and says what to do', () => {
    const error = errorOf(Buffer.from([0xff, 0xfe, 0x46, 0x00]));
    expect(error.message).toContain('not UTF-8');
    expect(error.hint).toBe('Save the file as UTF-8');
  });

  test.each(['', '# only a comment\n', '\n\n'])('says that %j has no build stage, and which line to add', (text) => {
    const error = errorOf(text);
    expect(error.code).toBe('DOCKERFILE_NO_STAGE');
    expect(error.message).toContain(file);
    expect(error.hint).toContain('FROM python:3.11-slim');
  });

  test('marks the guilty lines in an excerpt', () => {
    const error = errorOf('FROM a\nRUN b\nENV \\\n  C\nRUN d\n');
    expect(error.location?.excerpt).toBe(
      [
        '   1 |     FROM a',
        '   2 |     RUN b',
        '   3 | >>> ENV \\',
        '   4 | >>>   C',
        '   5 |     RUN d',
        '   6 |     ',
      ].join('\n'),
    );
  });

  test('escapes control characters in an excerpt', () => {
    expect(errorOf('FROM a\nFOO \u001b[31m\n').location?.excerpt).toContain('\\x1b[31m');
  });

  test.each([
    ['# escape=\\\n# escape=`\nFROM a\n', 2],
    ['# escape=x\nFROM a\n', 1],
  ])('refuses a bad directive on its own line: %j', (text, line) => {
    expect(errorOf(text).range.startLine).toBe(line);
  });

  test('keeps what syntax and check say', () => {
    const { directives } = parse('# syntax=docker/dockerfile:1\n# check=skip=all\nFROM a\n', { file });
    expect(directives).toEqual({ syntax: 'docker/dockerfile:1', check: 'skip=all', escape: '\\' });
  });

  test('throws nothing but its own error on any text', () => {
    const word = fc.constantFrom(
      'FROM',
      'RUN',
      'COPY',
      'ENV',
      'ARG',
      '<<EOF',
      'EOF',
      '[',
      '"',
      "'",
      '\\',
      '\n',
      '#',
      '=',
      '${',
      '--mount=',
      ' ',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.oneof(word, fc.string()), { maxLength: 40 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (input) => {
        try {
          parseStages(parse(input, { file }));
        } catch (error) {
          expect(error).toBeInstanceOf(EngineError);
        }
      }),
      runs(500),
    );
  });

  test('throws nothing but its own error on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
        try {
          parse(input, { file });
        } catch (error) {
          expect(error).toBeInstanceOf(EngineError);
        }
      }),
      runs(),
    );
  });
});

describe('parseStages', () => {
  test.each([
    ['FROM a\nCOPPY b c\n', 'COPPY', 'Did you mean COPY?', 2],
    ['FROM a\nCOPY --frm=x b c\n', '--frm', 'Did you mean --from?', 2],
    ['FROM a\nRUN --mont=type=bind b\n', '--mont', 'Did you mean --mount?', 2],
    ['RUN a\nFROM b\n', 'before the first FROM', 'Add a line such as FROM python:3.11-slim above it', 1],
    ['FROM a\n\nENV x\n', 'ENV needs a name and a value', 'Write ENV x=value', 3],
    ['FROM a\nSHELL sh -c\n', 'JSON form', 'Write SHELL ["/bin/bash", "-c"]', 2],
    ['FROM a\nHEALTHCHECK --interval=30 CMD b\n', '"30" is no time', 'Write 30s for seconds', 2],
  ])('says what to type next: %j', (text, part, hint, line) => {
    const error = errorOf(text);
    expect(error.code).toBe('DOCKERFILE_INVALID');
    expect(error.message).toContain(part);
    expect(error.hint).toBe(hint);
    expect(error.range.startLine).toBe(line);
  });

  test('does not repeat an endless word in the message', () => {
    const word = 'X'.repeat(10_000);
    for (const line of [`${word} b`, `ENV ${word}`, `COPY --${word}=b c d`, `RUN <<${word}`]) {
      const { message, hint = '' } = errorOf(`FROM a\n${line}\n`);
      expect(message.length + hint.length).toBeLessThan(500);
    }
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSpecFiles } from '../../../src/smoke/files.ts';
import { parseSpec, SmokeSpecError } from '../../../src/smoke/index.ts';
import { parseStructure } from '../../../src/smoke/structure/parse.ts';
import { runs } from '../../helpers/property.ts';

const KEYS =
  'version preset payload model run env args user network readOnly env-from resources mounts readinessProbe httpGet path port periodSeconds ' +
  'startupTimeoutSeconds jsonpath failWhen requests name request method headers json form body response status schema golden repeat times same ' +
  'thresholds startup memory_peak http_req_duration shutdown timeoutSeconds exitCodes batch load test-command structure-tests openapi report junit ' +
  'schemaVersion commandTests fileExistenceTests fileContentTests metadataTest licenseTests command expectedOutput shouldExist isExecutableBy __proto__';
const VALUE = fc.oneof(
  fc.constantFrom<unknown>(
    1,
    '2.0.0',
    true,
    'fastapi',
    'GET',
    '/predict',
    '200',
    '4xx',
    'value<60s',
    'p(95)<500',
    '$.a[?@.b>1]',
    '{model}',
  ),
  fc.constantFrom<unknown>(
    '$[',
    '~',
    '..',
    'value<',
    'p(101)<1',
    -1,
    1e308,
    '1Gi',
    '99999999999999999999',
    '[a-',
    '(?i)x',
    '../row.json',
    '\u0000',
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
/** Specs that are nearly right: known keys at any depth, with values that some key wants. */
const NEARLY = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    VALUE,
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS.split(' ')), tie('node'), { maxKeys: 5 }),
  ),
})).node;
const SPEC = fc
  .dictionary(fc.constantFrom(...KEYS.split(' ')), NEARLY, { maxKeys: 6 })
  .map((spec) => JSON.stringify(spec));
const WORDS = fc
  .array(
    fc.constantFrom(
      ...[
        'requests:',
        ' ',
        '  ',
        '\n',
        '- ',
        'path: ',
        '/p',
        '&a',
        '*a',
        '<<: ',
        '|',
        '>',
        '!!binary ',
        '"',
        "'",
        '{',
        '}',
        '[',
        ']',
        ',',
      ],
      ...[
        '# ',
        '---\n',
        '...\n',
        '\t',
        '? ',
        ': ',
        'preset: fastapi',
        'version: 1',
        '\uFEFF',
        '\r\n',
        '%YAML 1.1\n',
        '\u{1f40b}',
      ],
    ),
    { maxLength: 40 },
  )
  .map((words) => words.join(''));
const TEXT = fc.oneof(SPEC, SPEC, WORDS, fc.string({ unit: 'binary', maxLength: 200 }));

describe('a smoke test of any text', () => {
  test('is read, or refused with places inside it', async () => {
    await fc.assert(
      fc.asyncProperty(TEXT, async (text) => {
        const lines = text.split(/\r\n|\r|\n/).length;
        try {
          expect((await parseSpec(text, 'smoke.yaml', [])).fingerprint).toMatch(/^[0-9a-f]{64}$/);
        } catch (error) {
          if (!(error instanceof SmokeSpecError)) throw error;
          expect(error.problems.length).toBeGreaterThan(0);
          for (const { place } of error.problems) expect(place.startLine).toBeLessThanOrEqual(lines);
        }
      }),
      runs(500),
    );
  });

  test('is the same test when it is read again', async () => {
    await fc.assert(
      fc.asyncProperty(SPEC, async (text) => {
        const read = (): Promise<unknown> => parseSpec(text, 's', []).catch((error: unknown) => String(error));
        expect(await read()).toEqual(await read());
      }),
      runs(),
    );
  });
});

describe('a structure test of any text', () => {
  test('is read, or refused with problems', async () => {
    await fc.assert(
      fc.asyncProperty(TEXT, async (text) => {
        const read = await parseStructure(text, 's.yaml', createSpecFiles([]), () => undefined);
        if ('length' in read) expect(read.length).toBeGreaterThan(0);
        else expect(read.commands).toBeDefined();
      }),
      runs(300),
    );
  });
});

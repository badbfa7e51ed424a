import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { differences, isClose } from '../../../src/smoke/close.ts';
import { toCurl } from '../../../src/smoke/curl.ts';
import { JsonError, parseJson, type Json } from '../../../src/smoke/json.ts';
import { compileJsonPath } from '../../../src/smoke/jsonpath.ts';
import { parseTcpTable } from '../../../src/smoke/listen.ts';
import { createContainerLog } from '../../../src/smoke/logs.ts';
import { selectOne, toPredicates, violations } from '../../../src/smoke/predicates.ts';
import { compileSchema } from '../../../src/smoke/schema-check.ts';
import { createMask, excerptOf } from '../../../src/smoke/text.ts';
import { parseThreshold, thresholdViolation } from '../../../src/smoke/threshold.ts';
import { runs } from '../../helpers/property.ts';

describe('parseJson', () => {
  test('reads every JSON value as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(parseJson(text)).toEqual({ value: JSON.parse(text) as Json, nonFinite: [] });
      }),
      runs(),
    );
  });

  test('refuses what JSON.parse refuses', () => {
    const noise = fc.array(
      fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '1', '-', '.', 'true', ' ', 'e', '0', '\\'),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(noise, (parts) => {
        const text = parts.join('');
        let wanted: unknown;
        try {
          wanted = JSON.parse(text);
        } catch {
          expect(() => parseJson(text)).toThrow(JsonError);
          return;
        }
        expect(parseJson(text).value).toEqual(wanted);
      }),
      runs(2000),
    );
  });

  test.each([
    ['{"predictions":[1,2,3,NaN]}', '$.predictions[3]', 'NaN'],
    ['[-Infinity]', '$[0]', '-Infinity'],
    ['{"a b":{"c":Infinity}}', '$["a b"].c', 'Infinity'],
    ['{"x":1e400}', '$.x', '1e400'],
    ['-1e999', '$', '-1e999'],
  ])('finds the number that is not finite in %s', (text, path, token) => {
    expect(parseJson(text).nonFinite).toEqual([{ path, token }]);
  });

  test('takes NaN in a string for text', () => {
    expect(parseJson('{"a":"NaN"}').nonFinite).toEqual([]);
  });

  test('keeps a key called __proto__ a key', () => {
    const { value } = parseJson('{"__proto__":{"polluted":true}}');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('refuses nesting that would overflow the stack', () => {
    expect(() => parseJson('['.repeat(100_000))).toThrow(/nested more than 500 deep/);
  });
});

describe('predicates', () => {
  const document: Json = {
    n: 0.5,
    i: 3,
    s: 'hello',
    list: [1, 2, 3],
    empty: [],
    nothing: null,
    flag: true,
    when: '2024-05-01T10:00:00Z',
    id: '6f1c2a30-0000-4000-8000-000000000000',
    rows: [{ score: 0.1 }, { score: 0.9 }],
  };
  const table: readonly [string, Json, boolean][] = [
    ['$.n', 0.5, true],
    ['$.n', 0.6, false],
    ['$.s', 'hello', true],
    ['$.nothing', null, true],
    ['$.missing', null, false],
    ['$.list', [1, 2, 3], true],
    ['$.n', { '>=': 0, '<=': 1 }, true],
    ['$.n', { '>': 0.5 }, false],
    ['$.s', { '>': 1 }, false],
    ['$.s', { '!=': 'bye' }, true],
    ['$.missing', { '!=': 1 }, false],
    ['$.list', { count: 3 }, true],
    ['$.rows[*].score', { count: 2 }, true],
    ['$.rows[*].score', { contains: 0.9 }, true],
    ['$.rows[?@.score > 0.5]', { count: 1 }, true],
    ["$.rows[?@.score == 0.1e0 || @.name == '0.5']", { count: 1 }, true],
    ['$.rows[*].nope', { count: 0 }, true],
    ['$.missing', { exists: false }, true],
    ['$.nothing', { exists: true }, true],
    ['$.nothing', { exists: false }, false],
    ['$.s', { startsWith: 'he', endsWith: 'lo', contains: 'll', matches: '^h.*o$' }, true],
    ['$.n', { matches: '.' }, false],
    ['$.empty', { isEmpty: true, isList: true }, true],
    ['$.list', { isEmpty: false }, true],
    ['$.i', { isInteger: true, isNumber: true }, true],
    ['$.n', { isInteger: true }, false],
    ['$.n', { isInteger: false, isFloat: true }, true],
    ['$.flag', { isBoolean: true, isString: false }, true],
    ['$.rows[0]', { isObject: true, isList: false }, true],
    ['$.when', { isIsoDate: true }, true],
    ['$.s', { isIsoDate: true }, false],
    ['$.id', { isUuid: true }, true],
  ];
  test.each(table)('%s %j → %s', (path, wanted, holds) => {
    expect(violations(selectOne(compileJsonPath(path), document), toPredicates(wanted)).length === 0).toBe(holds);
  });

  test('says what was wanted and what came', () => {
    expect(violations({ found: true, value: [1] }, { count: 2, isString: true })).toEqual([
      'wanted count 2, got [1]',
      'wanted isString, got [1]',
    ]);
  });
});

describe('closeness is NumPy’s', () => {
  // |got - wanted| <= atol + rtol * |wanted|, as numpy.isclose documents it.
  test.each([
    [1e10, 1.00001e10, 1e-5, 1e-8, true],
    [1e10, 1.0001e10, 1e-5, 1e-8, false],
    [1e-7, 1e-8, 1e-5, 1e-8, false],
    [1e-8, 1e-9, 1e-5, 1e-8, true],
    [0, 1e-9, 1e-7, 0, false],
    [100, 101, 0.01, 0, true],
    [101, 100, 0.0099, 0, false],
    [NaN, NaN, 0, 0, true],
    [Infinity, Infinity, 0, 0, true],
    [Infinity, -Infinity, 1, 1, false],
    [1, Infinity, 1, 1, false],
    [0, -0, 0, 0, true],
  ])('%p and %p with rtol %p, atol %p: %p', (got, wanted, rtol, atol, close) => {
    expect(isClose(got, wanted, { rtol, atol })).toBe(close);
  });

  const tolerance = (ignore: readonly string[] = []) => ({ rtol: 1e-3, atol: 0, ignore: ignore.map(compileJsonPath) });

  test('names every difference with its path', () => {
    const got: Json = { a: [1.0001, 2.5], b: 'x', extra: 1, t: true };
    const wanted: Json = { a: [1, 2, 3], b: 'y', missing: null, t: 1 };
    expect(differences(got, wanted, tolerance())).toEqual([
      '$.a[1]: wanted 2, got 2.5 (rtol 0.001, atol 0)',
      '$.a[2]: wanted 3, got nothing',
      '$.b: wanted "y", got "x"',
      '$.missing: wanted null, got nothing',
      '$.t: wanted 1, got true',
      '$.extra: wanted nothing, got 1',
    ]);
  });

  test('ignores places, also missing ones', () => {
    const rows = (id: number): Json => ({
      rows: [
        { id, p: 1 },
        { id: id + 1, p: 2 },
      ],
    });
    expect(differences(rows(1), rows(7), tolerance(['$.rows[*].id']))).toEqual([]);
    expect(differences({ p: 1 }, { p: 1, request_id: 'x' }, tolerance(['$.request_id']))).toEqual([]);
  });

  test('tells ten differences and how many more', () => {
    const zeros = Array.from({ length: 50 }, () => 0);
    const found = differences(zeros, zeros.map((_, i) => i + 1), tolerance()); // prettier-ignore
    expect(found).toHaveLength(11);
    expect(found.at(-1)).toBe('and 40 more differences');
  });
});

describe('thresholds are k6’s', () => {
  const samples = Array.from({ length: 100 }, (_, i) => i + 1);
  test.each([
    ['p(95)<96', undefined],
    ['p(95)<95', 'got 95 ms'],
    ['avg<=50.5', undefined],
    ['med<50', 'got 51 ms'],
    ['max<100', 'got 100 ms'],
    ['min>=1', undefined],
    ['p(99)<0.2s', undefined],
  ])('%s', (expression, problem) => {
    const found = thresholdViolation(parseThreshold('http_req_duration', expression), samples);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(problem);
  });

  test('refuses a percentile that so few measurements cannot have', () => {
    const p99 = parseThreshold('http_req_duration', 'p(99)<500');
    expect(thresholdViolation(p99, samples.slice(0, 99))).toContain('needs 100 measurements, there are 99');
    expect(thresholdViolation(parseThreshold('http_req_duration', 'p(95)<500'), samples.slice(0, 20))).toBeUndefined();
  });
});

describe('compileSchema', () => {
  test('does not take NaN for a number', () => {
    expect(compileSchema({ type: 'array', items: { type: 'number' } })([1, NaN])).toEqual(['$[1] must be number']);
  });

  test('names the extra property and the path', () => {
    const validate = compileSchema({
      type: 'object',
      properties: { a: { type: 'object', additionalProperties: false } },
    });
    expect(validate({ a: { b: 1 } })).toEqual(['$.a must NOT have additional properties: b']);
  });

  test('stops a pattern that backtracks', () => {
    const validate = compileSchema({ type: 'string', pattern: '^(a+)+$' });
    expect(validate(`${'a'.repeat(60)}!`)).toEqual(['the regular expression /^(a+)+$/ took more than 500 ms']);
  });
});

test('reads listening sockets, and tells loopback from the rest', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000
   1: 00000000:1F41 00000000:0000 0A 00000000:00000000
   2: 0100007F:1F42 0100007F:9999 01 00000000:00000000
   3: 00000000000000000000000001000000:1F43 00000000000000000000000000000000:0000 0A 0
   4: 0000000000000000FFFF00000100007F:1F44 00000000000000000000000000000000:0000 0A 0
   5: 00000000000000000000000000000000:1F45 00000000000000000000000000000000:0000 0A 0
`;
  expect(parseTcpTable(table)).toEqual([
    { port: 8000, loopback: true },
    { port: 8001, loopback: false },
    { port: 8003, loopback: true },
    { port: 8004, loopback: true },
    { port: 8005, loopback: false },
  ]);
});

describe('text', () => {
  test('a curl command survives quotes and masks secret headers', () => {
    const headers = { authorization: 'Bearer x', 'x-api-key': 'k', accept: "it's" };
    expect(toCurl({ method: 'DELETE', path: '/a?b=c&d', headers }, 'http://127.0.0.1:1')).toBe(
      `curl -sS -i -X DELETE 'http://127.0.0.1:1/a?b=c&d' -H 'authorization: ***' -H 'x-api-key: ***' -H 'accept: it'\\''s'`,
    );
  });

  test('masks the longest secret first, and control characters', () => {
    expect(createMask(['abc', 'abcdef', ''])('x abcdef abc \u001b[2J')).toBe('x *** *** \\x1b[2J');
  });

  test('shows 2 KB of a body, and bytes not at all', () => {
    expect(excerptOf(Buffer.from('é'.repeat(2000)), 'text/plain')).toMatch(/^é+.?… \(4000 bytes in all\)$/);
    expect(excerptOf(Buffer.alloc(100, 0xff), 'image/png')).toBe('(100 bytes of image/png)');
  });

  test('keeps the end of a log, whole lines and bounded ones', () => {
    const log = createContainerLog();
    log.add('stdout', Buffer.from('one\r\ntw'));
    const mark = log.mark();
    log.add('stderr', Buffer.from('error\n'));
    log.add('stdout', Buffer.from('o\nrest'));
    expect(log.since(mark)).toEqual(['error', 'two', 'rest']);
    for (let i = 0; i < 20_000; i += 1) log.add('stdout', Buffer.from(`line ${i}\n`));
    expect(log.since(mark, 2)).toEqual(['line 19998', 'line 19999']);
    log.add('stdout', Buffer.alloc(1 << 20, 'x'));
    expect(log.text().length).toBeLessThan(200_000);
  });
});

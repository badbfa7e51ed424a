import { describe, expect, test } from '@jest/globals';
import { findPass, parsePasses, passOf, withPass, type PassRecord } from '../../../../src/action/cache/passes.ts';
import type { Digest } from '../../../../engine/index.ts';
import type { SmokeReport } from '../../../../src/smoke/index.ts';

const DIGEST: Digest = `sha256:${'a'.repeat(64)}`;
const KEY = { digest: DIGEST, test: 'auto' };
const ABOUT = { engine: 'e1-root', runId: '1001', at: '2026-11-25T10:00:00.000Z' };
const REPORT: SmokeReport = {
  verdict: 'passed',
  checks: [
    { name: 'ready', status: 'passed', summary: 'GET / → 200', milliseconds: 3 },
    { name: 'POST /predict', status: 'untested', summary: 'no example payload was given', hint: 'add one' },
  ],
  readySeconds: 1.5,
  memoryPeak: { bytes: 1000, source: 'cgroup' },
};

function record(changes: Partial<PassRecord> = {}): PassRecord {
  const pass = passOf({ smoke: REPORT, passKey: KEY }, ABOUT);
  if (!pass) throw new Error('a passed report gives a record');
  return { ...pass, ...changes };
}

describe('what passed before', () => {
  test('is told again with its rows and figures, and with the run that found them', () => {
    const [pass] = parsePasses(JSON.parse(JSON.stringify([record()])));
    expect(findPass(pass ? [pass] : [], KEY, 'e1-root')).toEqual({
      verdict: 'passed',
      passedIn: 'run 1001',
      checks: [
        { name: 'ready', status: 'passed', summary: 'GET / → 200' },
        { name: 'POST /predict', status: 'untested', summary: 'no example payload was given' },
      ],
      readySeconds: 1.5,
      firstPredictMs: undefined,
      imageSize: undefined,
      memoryPeak: { bytes: 1000, source: 'an earlier run' },
    });
  });

  test.each<readonly [string, Parameters<typeof findPass>[1], string]>([
    ['another image', { ...KEY, digest: `sha256:${'b'.repeat(64)}` }, 'e1-root'],
    ['another test', { ...KEY, test: 'c'.repeat(64) }, 'e1-root'],
    ['another engine', KEY, 'e2-root'],
    ['another isolation', KEY, 'e1-userns'],
  ])('is not told for %s', (_name, key, engine) => {
    expect(findPass([record()], key, engine)).toBeUndefined();
  });

  test('is kept once, the newest first, and no more than fifty', () => {
    expect(withPass([record()], record({ runId: '1002' }))).toEqual([record()]);
    const many = Array.from({ length: 60 }, (_, at) => record({ engine: `e${at}` }));
    const kept = many.reduce<readonly PassRecord[]>((all, one) => withPass(all, one), []);
    expect([kept.length, kept[0]?.engine]).toEqual([50, 'e59']);
  });

  test('is told as untested where nothing could be tested', () => {
    const pass = passOf({ smoke: { ...REPORT, verdict: 'untested' }, passKey: KEY }, ABOUT);
    const [read] = parsePasses(JSON.parse(JSON.stringify([pass])));
    expect(findPass(read ? [read] : [], KEY, 'e1-root')).toMatchObject({ verdict: 'untested', passedIn: 'run 1001' });
  });

  test('is nothing that failed, was off, or was itself only remembered', () => {
    const verdicts = ['failed', 'off'] as const;
    const reports = [...verdicts.map((verdict) => ({ ...REPORT, verdict })), { ...REPORT, passedIn: 'run 7' }];
    for (const smoke of reports) expect(passOf({ smoke, passKey: KEY }, ABOUT)).toBeUndefined();
    expect(passOf({ smoke: REPORT, passKey: undefined }, ABOUT)).toBeUndefined();
  });

  test.each([
    ['no list', { passes: 1 }],
    ['a digest that is none', [{ ...record(), digest: 'sha256:../../etc' }]],
    ['a run that is no number', [{ ...record(), runId: '1](http://x)' }]],
    ['a check that says failed', [{ ...record(), found: { checks: [{ name: 'x', status: 'failed' }] } }]],
    ['a name of a megabyte', [{ ...record(), found: { checks: [{ name: 'x'.repeat(1 << 20), status: 'passed' }] } }]],
    ['a thousand checks', [{ ...record(), found: { checks: Array(1000).fill({ name: 'x', status: 'passed' }) } }]],
  ])('is nothing from a document with %s', (_name, value) => {
    expect(parsePasses(value)).toEqual([]);
  });
});

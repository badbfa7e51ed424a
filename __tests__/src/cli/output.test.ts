import { describe, expect, test } from '@jest/globals';
import type { ProgressEvent } from '../../../engine/index.ts';
import { createPlain } from '../../../src/cli/progress/plain.ts';
import { createRawJson } from '../../../src/cli/progress/rawjson.ts';
import { createTty } from '../../../src/cli/progress/tty.ts';
import { printList } from '../../../src/cli/print-list.ts';
import { formatTable } from '../../../src/cli/table.ts';
import { goTime, humanDuration, humanSize, rfc3339 } from '../../../src/cli/units.ts';

function recorder() {
  let text = '';
  const write = (chunk: string | Uint8Array): void => void (text += Buffer.from(chunk).toString());
  return { write, send: async (chunk: Uint8Array) => write(chunk), isTTY: true, columns: 60, text: () => text };
}

const log = (data: string): ProgressEvent => ({ type: 'log', vertex: 'a', stream: 1, data: Buffer.from(data) });
const events: readonly ProgressEvent[] = [
  { type: 'vertex', id: 'a', name: '[1/2] RUN make' },
  { type: 'vertex', id: 'a', name: '[1/2] RUN make', started: 1000 },
  { type: 'vertex', id: 'b', name: '[2/2] COPY . .', cached: true, started: 1000, completed: 1000 },
  log('one\ntw'),
  log('o\n\u001b[2Jthree'),
  { type: 'status', vertex: 'a', name: 'sha256:abc', current: 10, total: 10 },
  { type: 'status', vertex: 'a', name: 'sha256:def', current: 10, total: 10, completed: 4200, spared: 'exists' },
  { type: 'vertex', id: 'a', name: '[1/2] RUN make', started: 1000, completed: 4200 },
];

describe('plain progress', () => {
  test('prints a line an event, in numbers of first appearance, and never lets output reach the terminal raw', () => {
    const out = recorder();
    const plain = createPlain(out);
    for (const event of events) plain.onEvent(event);
    const lines = out
      .text()
      .split('\n')
      .map((line) => line.replace(/^(#\d+) \d+\.\d{3} /, '$1 T '));
    expect(lines).toEqual([
      '#1 [1/2] RUN make',
      '#2 [2/2] COPY . .',
      '#2 CACHED',
      '',
      '#1 T one',
      '#1 T two',
      '#1 sha256:abc 10B / 10B done',
      '#1 sha256:def exists already',
      '#1 \\x1b[2Jthree',
      '#1 DONE 3.2s',
      '',
      '',
    ]);
  });
});

test('rawjson prints one SolveStatus a line', () => {
  const out = recorder();
  const raw = createRawJson(out);
  for (const event of events) raw.onEvent(event);
  const statuses = out
    .text()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, readonly Record<string, unknown>[]>);
  expect(statuses).toHaveLength(events.length);
  expect(statuses[1]?.['vertexes']?.[0]).toMatchObject({
    digest: 'a',
    name: '[1/2] RUN make',
    started: '1970-01-01T00:00:01.000Z',
  });
  expect(Buffer.from(String(statuses[3]?.['logs']?.[0]?.['data']), 'base64').toString()).toBe('one\ntw');
});

test('the terminal keeps finished steps, the tail of a failed one, and a timeline of long work', () => {
  const out = recorder();
  const tty = createTty(out, { color: false, timeline: true });
  tty.onEvent({ type: 'vertex', id: 'a', name: 'RUN slow', started: 0 });
  tty.onEvent({ type: 'log', vertex: 'a', stream: 2, data: Buffer.from('why it failed\n') });
  tty.onEvent({ type: 'vertex', id: 'a', name: 'RUN slow', started: 0, completed: 9000, error: 'exit code: 3' });
  tty.finish();
  expect(out.text()).toContain('✘ RUN slow ERROR: exit code: 3\n    why it failed\n');
  expect(out.text()).toMatch(/RUN slow\s+█{40}\s+9\.0s/);
});

test('a step that another one ended is canceled, in the words of BuildKit', () => {
  const event = { type: 'vertex', id: 'a', name: 'RUN slow', started: 0, completed: 1000, canceled: true } as const;
  const [plain, raw, tty] = [recorder(), recorder(), recorder()];
  createPlain(plain).onEvent(event);
  createRawJson(raw).onEvent(event);
  const terminal = createTty(tty, { color: false, timeline: false });
  terminal.onEvent(event);
  terminal.finish();
  expect(plain.text()).toBe('#1 RUN slow\n#1 CANCELED\n\n');
  expect(JSON.parse(raw.text())).toMatchObject({ vertexes: [{ digest: 'a', error: 'context canceled' }] });
  expect(tty.text()).toBe('✘ RUN slow CANCELED\n');
});

test('tables are as wide as their widest cell', () => {
  expect(formatTable(['ID', 'NAME'], [['123456', 'x']])).toBe('ID        NAME\n123456    x\n');
  expect(formatTable(['CONTAINER', 'A'], [['x', 'y']])).toBe('CONTAINER   A\nx           y\n');
});

test('sizes and durations read as in Docker', () => {
  expect([0, 999, 1500, 12_345_678, 999_950, 5e9].map(humanSize)).toEqual([
    '0B',
    '999B',
    '1.5kB',
    '12.3MB',
    '1MB',
    '5GB',
  ]);
  const spans = [0, 1000, 59_000, 60_000, 3_600_000, 86_400_000 * 3, 86_400_000 * 20];
  expect(spans.map(humanDuration)).toEqual([
    'Less than a second',
    '1 second',
    '59 seconds',
    'About a minute',
    'About an hour',
    '3 days',
    '2 weeks',
  ]);
});

test.each([
  ['2026-01-31T10:00:00.120Z', {}, '2026-01-31T10:00:00Z'],
  ['2026-01-31T10:00:00.120Z', { fraction: true }, '2026-01-31T10:00:00.12Z'],
  ['2026-07-01T23:59:59.000000001Z', { fraction: true }, '2026-07-01T23:59:59.000000001Z'],
  ['2026-07-01T23:59:59.000Z', { fraction: true }, '2026-07-01T23:59:59Z'],
])('the time %s %j is that time as Go prints it, in the zone of the machine', (iso, options, same) => {
  const text = goTime(iso, options);
  const [, date = '', clock = '', offset = '', zone] =
    /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d*[1-9])?) ([+-]\d{4}) ([A-Z]{3,5}|[+-]\d{4})$/.exec(text) ?? [];
  expect(Date.parse(`${date}T${clock}${offset}`)).toBe(Date.parse(same));
  expect(clock.includes('.')).toBe(same.includes('.'));
  if (zone === 'UTC') expect(`${date}T${clock}Z`).toBe(same);
});

test('a time in seconds is RFC 3339, and what is no time stays as it is', () => {
  const text = rfc3339('2026-01-31T10:00:00.9Z');
  expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)$/);
  expect(Date.parse(text)).toBe(Date.parse('2026-01-31T10:00:00Z'));
  expect([goTime('soon'), rfc3339('')]).toEqual(['soon', '']);
});

test('rows as JSON have their fields by name, and signs that a page could take for its own escaped', () => {
  const out = recorder();
  const rows = [{ Name: 'b', Digest: '<none>', Ports: '1->2' }];
  printList({ stdout: out }, rows, { columns: [], format: 'json' });
  printList({ stdout: out }, rows, { columns: [], format: '{{json .}}' });
  const [plain = '', ...template] = out.text().split('\n');
  expect(plain).toBe('{"Digest":"\\u003cnone\\u003e","Name":"b","Ports":"1-\\u003e2"}');
  expect(template).toEqual(['{"Digest":"<none>","Name":"b","Ports":"1->2"}', '']);
});

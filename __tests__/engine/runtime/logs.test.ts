import { describe, expect, test } from '@jest/globals';
import type { CallOptions, Helper } from '../../../engine/native/types.ts';
import { sendLogs } from '../../../engine/runtime/logs.ts';

const line = (second: number, log: string, stream = 'stdout'): string =>
  `${JSON.stringify({ log, stream, time: `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001Z` })}\n`;

/** A helper whose log is `now`, and `now` and `later` when it is followed; sent in pieces of some bytes, so that lines are cut. */
function helperOf(now: string, later = '', piece = 7): Helper {
  const call = async (_op: string, args: { readonly follow: boolean }, options: CallOptions): Promise<undefined> => {
    const bytes = Buffer.from(args.follow ? now + later : now);
    for (let at = 0; at < bytes.length; at += piece) await options.onData?.(bytes.subarray(at, at + piece));
    return undefined;
  };
  // Type: only `call` of `logs` is used here.
  return { call } as unknown as Helper;
}

async function read(helper: Helper, options: Parameters<typeof sendLogs>[2]): Promise<readonly string[]> {
  const got: string[] = [];
  await sendLogs(helper, 'x', {
    ...options,
    onStdout: (chunk) => void got.push(`out ${Buffer.from(chunk).toString()}`),
    onStderr: (chunk) => void got.push(`err ${Buffer.from(chunk).toString()}`),
  });
  return got;
}

const now = line(1, 'a\n') + line(2, 'b\n', 'stderr') + line(3, 'c\n');

describe('sendLogs', () => {
  test('sends each stream where it belongs, bytes as they were', async () => {
    expect(await read(helperOf(now), {})).toEqual(['out a\n', 'err b\n', 'out c\n']);
  });

  test('follows after the last lines without a gap and without a line twice', async () => {
    const helper = helperOf(now, line(4, 'd\n') + line(5, 'e'));
    expect(await read(helper, { tail: 1, follow: true })).toEqual(['out c\n', 'out d\n', 'out e']);
    expect(await read(helper, { tail: 0, follow: true })).toEqual(['out d\n', 'out e']);
  });

  test('shows what was written in the time that was asked for', async () => {
    const at = (second: number): number => Date.UTC(2026, 0, 1, 0, 0, second);
    expect(await read(helperOf(now), { since: at(2), until: at(3) - 1 })).toEqual(['err b\n']);
    expect(await read(helperOf(now), { tail: 5, since: at(3) })).toEqual(['out c\n']);
  });

  test('puts the time before a line', async () => {
    expect(await read(helperOf(line(1, 'a\n')), { timestamps: true })).toEqual([
      'out 2026-01-01T00:00:01.000000001Z a\n',
    ]);
  });

  test('leaves out a line that a crash cut off', async () => {
    expect(await read(helperOf(`${line(1, 'a\n')}{"log":"hal`), { tail: 10 })).toEqual(['out a\n']);
  });
});

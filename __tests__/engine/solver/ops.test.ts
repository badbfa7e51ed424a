import { beforeEach, describe, expect, test } from '@jest/globals';
import { createLogTail } from '../../../engine/solver/log-tail.ts';
import { resolveOwner } from '../../../engine/solver/ops/owner.ts';

describe('resolveOwner', () => {
  const asked: string[] = [];
  const identify = async (user: string): Promise<{ uid: number; gid: number }> => {
    asked.push(user);
    return user.startsWith('0:') ? { uid: 0, gid: 50 } : { uid: 1001, gid: 1002 };
  };
  beforeEach(() => void (asked.length = 0));

  test.each([
    ['', 0, 0, []],
    ['7', 7, 7, []],
    ['7:8', 7, 8, []],
    [':8', 0, 8, []],
    ['app', 1001, 1002, ['app']],
    ['app:8', 1001, 8, ['app']],
    ['app:staff', 1001, 50, ['app', '0:staff']],
    ['7:staff', 7, 50, ['0:staff']],
  ])('gives for "%s" %d:%d', async (text, uid, gid, names) => {
    expect(await resolveOwner(text, identify)).toEqual({ uid, gid });
    expect(asked).toEqual(names);
  });

  test('refuses ids out of range and a third part', async () => {
    await expect(resolveOwner('4294967295', identify)).rejects.toMatchObject({ code: 'INVALID_USER' });
    await expect(resolveOwner('a:b:c', identify)).rejects.toMatchObject({ code: 'INVALID_USER' });
  });
});

describe('createLogTail', () => {
  test('keeps the last lines, however they come', () => {
    const tail = createLogTail();
    for (let line = 1; line <= 30; line += 1) tail.add(Buffer.from(`line ${line}\n`));
    expect(tail.lines()).toHaveLength(20);
    expect(tail.lines().at(-1)).toBe('line 30');
  });

  test('keeps the end of a line without end', () => {
    const tail = createLogTail();
    tail.add(Buffer.alloc(1_000_000, 'x'));
    expect(tail.lines()[0]?.length).toBeLessThan(20_000);
    expect(createLogTail().lines()).toEqual([]);
  });
});

import { describe, expect, test } from '@jest/globals';
import { memo } from '../../../engine/base/memo.ts';
import { once, onceEach } from '../../../engine/base/once.ts';

/** Fails the first time; counts its calls. */
function failingFirst(): { readonly calls: string[]; readonly act: (word: string) => Promise<string> } {
  const calls: string[] = [];
  const act = async (word: string): Promise<string> => {
    calls.push(word);
    if (calls.length === 1) throw new Error('not yet');
    return word.toUpperCase();
  };
  return { calls, act };
}

describe('once', () => {
  test('gives all who ask the same answer, and asks again after a failure', async () => {
    const { calls, act } = failingFirst();
    const asked = once(act);
    const failures = await Promise.allSettled([asked('a'), asked('b')]);
    expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await Promise.all([asked('c'), asked('d')])).toEqual(['C', 'C']);
    expect(await asked('e')).toBe('C');
    expect(calls).toEqual(['a', 'c']);
  });

  test('does the same for each key', async () => {
    const { calls, act } = failingFirst();
    const asked = onceEach<string, string>();
    await expect(asked('x', () => act('a'))).rejects.toThrow('not yet');
    expect(await Promise.all([asked('x', () => act('b')), asked('x', () => act('c'))])).toEqual(['B', 'B']);
    expect(await asked('y', () => act('d'))).toBe('D');
    expect(calls).toEqual(['a', 'b', 'd']);
  });
});

describe('memo', () => {
  test('calls once for arguments of the same JSON, and keeps a failure', async () => {
    const calls: unknown[] = [];
    const asked = memo(async (source: { readonly url: string }) => {
      calls.push(source);
      if (source.url === 'gone') throw new Error('gone');
      return source.url.length;
    });
    expect(await Promise.all([asked({ url: 'here' }), asked({ url: 'here' }), asked({ url: 'other' })])).toEqual([
      4, 4, 5,
    ]);
    await expect(asked({ url: 'gone' })).rejects.toThrow('gone');
    await expect(asked({ url: 'gone' })).rejects.toThrow('gone');
    expect(calls).toEqual([{ url: 'here' }, { url: 'other' }, { url: 'gone' }]);
  });

  test('tells calls apart by the key that it is given', async () => {
    const calls: string[] = [];
    const asked = memo(
      async (id: string, rest: string) => {
        calls.push(`${id} ${rest}`);
        return rest;
      },
      (id) => id,
    );
    expect(await Promise.all([asked('a', 'first'), asked('a', 'second'), asked('b', 'third')])).toEqual([
      'first',
      'first',
      'third',
    ]);
    expect(calls).toEqual(['a first', 'b third']);
  });
});

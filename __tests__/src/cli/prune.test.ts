import { describe, expect, test } from '@jest/globals';
import { EngineError } from '../../../engine/index.ts';
import { cacheOf, removeEach } from '../../../src/cli/commands/prune.ts';
import type { Writer } from '../../../src/cli/output.ts';

function output() {
  const said = { stdout: '', stderr: '' };
  const writer = (name: keyof typeof said): Writer => {
    const write = (chunk: string | Uint8Array): void => void (said[name] += Buffer.from(chunk).toString());
    return { write, send: async (chunk) => write(chunk), isTTY: false, columns: 80 };
  };
  return {
    said,
    context: { stdout: writer('stdout'), stderr: writer('stderr'), signal: new AbortController().signal },
  };
}

/** Removes `a`, `b` and `c`, of which `b` cannot go. */
async function removeThree(fault: Error) {
  const { said, context } = output();
  const code = await removeEach(context, 'Deleted Things:', ['a', 'b', 'c'], async (name) => {
    if (name === 'b') throw fault;
    return [name];
  }).catch(() => 'thrown');
  return { code, ...said };
}

describe('a prune', () => {
  test('goes on over what was taken into use meanwhile, and says nothing of it', async () => {
    const fault = new EngineError('CONTAINER_RUNNING', 'Cannot remove b: it runs');
    expect(await removeThree(fault)).toEqual({ code: 0, stdout: 'Deleted Things:\na\nc\n\n', stderr: '' });
  });

  test('goes on over another fault, and tells it', async () => {
    const fault = new EngineError('REMOVE_INCOMPLETE', 'Cannot remove all of b');
    const outcome = { code: 1, stdout: 'Deleted Things:\na\nc\n\n', stderr: 'berth: Cannot remove all of b\n' };
    expect(await removeThree(fault)).toEqual(outcome);
  });

  test('that has to stop prints what it has removed', async () => {
    expect(await removeThree(new Error('EIO'))).toMatchObject({ code: 'thrown', stdout: 'Deleted Things:\na\n\n' });
  });
});

describe('the build cache of a system prune', () => {
  test('goes by its age, is without labels, and goes whole without a filter', () => {
    expect(cacheOf([])).toBe(true);
    expect(cacheOf([{ name: 'label', value: 'keep', negated: true }])).toBe(true);
    expect(cacheOf([{ name: 'label', value: 'keep' }])).toBe(false);
    expect(cacheOf([{ name: 'until', value: '1970-01-02' }])).toEqual({ until: 86_400_000 });
  });
});

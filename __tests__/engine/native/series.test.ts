import { afterEach, describe, expect, test } from '@jest/globals';
import { chmod } from 'node:fs/promises';
import { createLauncher, createSeriesHelper } from '../../../engine/native/index.ts';
import { scriptedHelper } from '../../helpers/scripted-helper.ts';

const store = { root: '/nowhere', uid: 0, gid: 0 };
const usage = { names: [], measure: false };
const ENDED = { exitCode: 0, signal: null, oomKilled: false, memoryPeak: null, memorySource: null, cpuMicroseconds: null };

/**
 * A helper that answers `usage` with its process, its word and the number of the request; `remove` fails, `copy` dies, `read-file` sends its
 * path and waits a moment, `exec` waits for the end of its input.
 */
const SCRIPT = `
  let number = 0;
  for (let frame = readFrame(); frame; frame = readFrame()) {
    if (frame.kind !== 1) continue;
    const { op, args } = JSON.parse(frame.payload.toString()).operation;
    number += 1;
    if (op === 'copy') process.exit(7);
    if (op === 'remove') { end(); say({ failure: { code: 'conflict', step: 'remove', message: 'no' } }); }
    if (op === 'read-file') { say({ event: { type: 'warning', message: args.path } }); data(args.path); say({ reply: { op } }); setTimeout(() => 0, 0); end(); }
    if (op === 'usage') { end(); say({ reply: { op, result: { snapshots: [{ name: [process.pid, process.argv.slice(2), number].join(' '), bytes: 0, inodes: 0 }] } } }); }
    if (op === 'exec') { say({ event: { type: 'started', pid: 1 } }); const frames = untilEnd(); data(frames.map((f) => f.payload).join()); end(); say({ reply: { op, result: ${JSON.stringify(ENDED)} } }); process.exit(0); }
    if (process.argv[2] !== 'series') process.exit(0);
  }`;

let closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closing.map((close) => close()));
  closing = [];
});

async function open(script = SCRIPT): Promise<ReturnType<typeof createSeriesHelper>> {
  const launcher = createLauncher({ path: await scriptedHelper(script) });
  const helper = createSeriesHelper(launcher, { store, idMap: { kind: 'root' }, elevation: 'direct' });
  closing.push(helper.close);
  return helper;
}
type Opened = Awaited<ReturnType<typeof open>>;

/** Process, word and number of the request. */
async function ask(helper: Opened): Promise<readonly [string, string, string]> {
  const { snapshots } = await helper.call('usage', usage);
  const [pid = '', word = '', number = ''] = (snapshots[0]?.name ?? '').split(' ');
  return [pid, word, number];
}
const gone = { snapshots: [], containers: [], force: false, garbage: false };

describe('operations that come one after another', () => {
  test('share a process, also when one fails', async () => {
    const helper = await open();
    const [pid, word] = await ask(helper);
    expect(word).toBe('series');
    await expect(helper.call('remove', gone)).rejects.toMatchObject({ code: 'NATIVE_CONFLICT' });
    expect(await ask(helper)).toEqual([pid, 'series', '3']);
  });

  test('keep what they send apart', async () => {
    const helper = await open();
    for (const path of ['/a', '/b', '/c']) {
      let text = '';
      const events: unknown[] = [];
      await helper.call(
        'read-file',
        { snapshots: [], path, maxBytes: 1 },
        { onData: (chunk) => void (text += Buffer.from(chunk).toString()), onEvent: (event) => events.push(event) },
      );
      expect([text, events]).toEqual([path, [{ type: 'warning', message: path }]]);
    }
    expect((await ask(helper))[2]).toBe('4');
  });

  test('have a process each when they come at once', async () => {
    const helper = await open();
    const answers = await Promise.all([ask(helper), ask(helper), ask(helper)]);
    expect(new Set(answers.map(([pid]) => pid)).size).toBe(3);
    expect(answers.map(([, word]) => word).sort()).toEqual(['series', 'usage', 'usage']);
  });

  test('end with one that is talked to, and the next one has another process', async () => {
    const helper = await open();
    const [pid] = await ask(helper);
    let text = '';
    // Type: the scripted helper looks at none of it.
    const session = helper.open('exec', {} as never, { onData: (chunk) => void (text += Buffer.from(chunk).toString()) });
    await session.write(Buffer.from('one'));
    const [other, word] = await ask(helper);
    expect([other === pid, word]).toEqual([false, 'series']);
    session.close({ detach: true });
    expect(await session.result).toEqual(ENDED);
    expect(text).toBe('one');
  });

  test('say how the process ended, and the next one has another process', async () => {
    const helper = await open();
    const [pid] = await ask(helper);
    await expect(helper.call('copy', { name: 'u', lowers: [], actions: [] })).rejects.toMatchObject({
      code: 'NATIVE_DIED',
      message: 'Cannot copy files: runtime ended with exit code 7',
    });
    expect((await ask(helper))[0]).not.toBe(pid);
  });

  test('are cancelled by the end of fd 0', async () => {
    const helper = await open(`let frame = readFrame(); while ((frame = readFrame())); say({ failure: { code: 'cancelled', step: 'read', message: 'gone' } });`);
    const controller = new AbortController();
    const reason = new Error('the user pressed Ctrl-C');
    const called = helper.call('usage', usage, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(called).rejects.toBe(reason);
  });

  test('throw what a consumer of ours throws', async () => {
    const helper = await open();
    const onData = (): never => {
      throw new Error('full');
    };
    await expect(helper.call('read-file', { snapshots: [], path: '/a', maxBytes: 1 }, { onData })).rejects.toThrow('full');
    expect((await ask(helper))[2]).toBe('1');
  });

  test('are not touched by the signal of one that has its answer', async () => {
    const helper = await open();
    const controller = new AbortController();
    await helper.call('usage', usage, { signal: controller.signal });
    const next = ask(helper);
    controller.abort();
    expect((await next).slice(1)).toEqual(['series', '2']);
  });

  test('do not wait for a source that is not asked any more, nor mix with it', async () => {
    const helper = await open();
    const [pid] = await ask(helper);
    let goOn = (): void => undefined;
    const stuck = new Promise<void>((resolve) => (goOn = resolve));
    const data = (async function* () {
      await stuck;
      yield Buffer.from('late');
    })();
    await helper.call('usage', usage, { data });
    expect((await ask(helper)).slice(1)).toEqual(['usage', '1']);
    goOn();
    // Once all of it is sent, the process is free again.
    for (let word = ''; word !== 'series'; ) [, word] = await ask(helper);
    expect((await ask(helper))[0]).toBe(pid);
  });

  test('end with the helper while a source is still being read', async () => {
    const helper = await open();
    const [pid] = await ask(helper);
    // Type: a source that never gives anything.
    const data = (async function* (): AsyncGenerator<Uint8Array> {
      await new Promise(() => undefined);
      yield new Uint8Array();
    })();
    await helper.call('usage', usage, { data });
    expect(process.kill(Number(pid), 0)).toBe(true);
    await helper.close();
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
  });

  test('try again where the helper could not be started', async () => {
    const path = await scriptedHelper(SCRIPT);
    await chmod(path, 0o600);
    const helper = createSeriesHelper(createLauncher({ path }), { store, idMap: { kind: 'root' }, elevation: 'direct' });
    closing.push(helper.close);
    await expect(helper.call('usage', usage)).rejects.toMatchObject({
      code: 'HELPER_NOT_STARTED',
      message: expect.stringMatching(/^Cannot measure snapshots: .*EACCES/),
      hint: expect.stringContaining('noexec'),
    });
    await chmod(path, 0o755);
    expect((await ask(helper)).slice(1)).toEqual(['series', '1']);
  });

  test('need a helper that can be started', async () => {
    const launcher = createLauncher({ path: '/nowhere/berth-native' });
    const helper = createSeriesHelper(launcher, { store, idMap: { kind: 'root' }, elevation: 'direct' });
    await expect(helper.call('usage', usage)).rejects.toMatchObject({ code: 'HELPER_MISSING' });
    await helper.close();
  });
});

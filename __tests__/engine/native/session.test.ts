import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { versionOf } from '../../../engine/native/facts.ts';
import { createHelper, createLauncher } from '../../../engine/native/index.ts';
import { writeKept } from '../../../engine/native/kept.ts';
import type { Event } from '../../../engine/native/protocol.ts';
import type { Helper } from '../../../engine/native/types.ts';
import { scriptedHelper } from '../../helpers/scripted-helper.ts';

const store = { root: '/nowhere', uid: 0, gid: 0 };
const usage = { names: [], measure: false };

async function helperOf(script: string, { sudo }: { readonly sudo?: string } = {}): Promise<Helper> {
  const launcher = createLauncher({ path: await scriptedHelper(script) }, sudo);
  return createHelper(launcher, { store, idMap: { kind: 'root' }, elevation: sudo ? 'sudo' : 'direct' });
}

describe('a call of the helper', () => {
  test('sends the request with version and store, and gives the reply', async () => {
    const helper = await helperOf(`
      const request = readRequest(); untilEnd();
      say({ reply: { op: 'usage', result: { snapshots: [{ name: JSON.stringify([request, process.argv[2]]), bytes: 1, inodes: 2 }] } } });`);
    const { snapshots } = await helper.call('usage', usage);
    expect(JSON.parse(snapshots[0]?.name ?? '')).toEqual([
      { version: 1, store, idMap: { kind: 'root' }, operation: { op: 'usage', args: usage } },
      'usage',
    ]);
  });

  test('gives the helper an empty environment', async () => {
    const helper = await helperOf(`readRequest(); untilEnd();
      say({ reply: { op: 'usage', result: { snapshots: [{ name: JSON.stringify(process.env), bytes: 0, inodes: 0 }] } } });`);
    const { snapshots } = await helper.call('usage', usage);
    expect(snapshots[0]?.name).toBe('{}');
  });

  test('starts through sudo without a prompt and without a remembered password', async () => {
    const sudo = await scriptedHelper(`readRequest(); untilEnd();
      say({ reply: { op: 'usage', result: { snapshots: [{ name: process.argv.slice(2).join(' '), bytes: 0, inodes: 0 }] } } });`);
    const helper = await helperOf('', { sudo });
    const { snapshots } = await helper.call('usage', usage);
    expect(snapshots[0]?.name).toMatch(/^-n -k -- \/\S+\/helper usage$/);
  });

  test('hands on events, output and error output in order', async () => {
    const helper = await helperOf(`readRequest(); untilEnd();
      say({ event: { type: 'started', pid: 7 } });
      data('one '); errorData('two '); data('three'); end();
      say({ reply: { op: 'start', result: { exitCode: 0, signal: null, oomKilled: false, memoryPeak: null, memorySource: null, cpuMicroseconds: null } } });`);
    const events: Event[] = [];
    let text = '';
    const take = (chunk: Uint8Array): void => void (text += Buffer.from(chunk).toString());
    await helper.call('read-file', { snapshots: [], path: '/', maxBytes: 1 }, { onData: take, onErrorData: take, onEvent: (event) => events.push(event) });
    expect(text).toBe('one two three');
    expect(events).toEqual([{ type: 'started', pid: 7 }]);
  });

  test('sends lists of paths as data after the request', async () => {
    const helper = await helperOf(`readRequest();
      const frames = untilEnd();
      say({ reply: { op: 'copy', result: { entries: frames.length, bytes: Buffer.concat(frames.map((f) => f.payload)).length } } });`);
    const data = [Buffer.from('a\0'), Buffer.alloc(17 * 1024 * 1024)];
    const reply = await helper.call('copy', { name: 'upper', lowers: [], actions: [] }, { data });
    expect(reply).toEqual({ entries: 3, bytes: 17 * 1024 * 1024 + 2 });
  });

  test('waits for a consumer that is slow before it reads more', async () => {
    const helper = await helperOf(`readRequest(); untilEnd();
      for (let i = 0; i < 64; i++) data('x'.repeat(65536));
      end(); say({ reply: { op: 'read-file' } });`);
    let busy = 0;
    let most = 0;
    let size = 0;
    await helper.call('read-file', { snapshots: [], path: '/', maxBytes: 1 }, {
      onData: async (chunk) => {
        most = Math.max(most, (busy += 1));
        await new Promise((resolve) => setImmediate(resolve));
        size += chunk.length;
        busy -= 1;
      },
    });
    expect([most, size]).toEqual([1, 64 * 65536]);
  });

  test('throws the failure with step, subject, errno and hint', async () => {
    const helper = await helperOf(`readRequest(); untilEnd();
      say({ failure: { code: 'no-space', step: 'write', message: 'no space left', errno: 'ENOSPC', subject: 'blobs/x', hint: 'free some' } });`);
    await expect(helper.call('diff', { snapshot: 'a', lowers: [], output: null, codec: 'none', level: 0, clamp: null, finish: true, container: null })).rejects.toMatchObject({
      code: 'NATIVE_NO_SPACE',
      message: 'Cannot make a layer: write: no space left (blobs/x, ENOSPC)',
      hint: 'free some',
    });
  });

  test('says that the runtime died, and by which signal', async () => {
    const helper = await helperOf(`readRequest(); process.kill(process.pid, 'SIGKILL');`);
    await expect(helper.call('usage', usage)).rejects.toMatchObject({
      code: 'NATIVE_DIED',
      message: 'Cannot measure snapshots: runtime died (signal 9)',
    });
  });

  test('keeps what is not the protocol for the error, without control characters', async () => {
    const helper = await helperOf(`readRequest(); say('thread main panicked \\u001b[31m'); process.exit(101);`);
    await expect(helper.call('usage', usage)).rejects.toMatchObject({
      message: 'Cannot measure snapshots: runtime ended with exit code 101: thread main panicked \\x1b[31m',
    });
  });

  test('survives a helper that ends before it has read everything', async () => {
    const helper = await helperOf(`say({ failure: { code: 'request', step: 'dispatch', message: 'no' } }); process.exit(1);`);
    const data = [Buffer.alloc(8 * 1024 * 1024)];
    await expect(helper.call('copy', { name: 'u', lowers: [], actions: [] }, { data })).rejects.toMatchObject({ code: 'NATIVE_REQUEST' });
  });

  test('cancels by closing fd 0, waits for the end and throws the reason', async () => {
    const helper = await helperOf(`readRequest(); untilEnd(); say({ event: { type: 'started', pid: 1 } });
      while (readFrame()); say('cleaned up');
      say({ failure: { code: 'cancelled', step: 'read', message: 'the engine is gone' } });`);
    const controller = new AbortController();
    const reason = new Error('the user pressed Ctrl-C');
    const call = helper.call('usage', usage, { signal: controller.signal, onEvent: () => controller.abort(reason) });
    await expect(call).rejects.toBe(reason);
  });

  test('does not start at all with a signal that is aborted', async () => {
    const helper = await helperOf(`process.exit(3)`);
    await expect(helper.call('usage', usage, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  });

  test('stops the operation when a consumer throws, and throws that', async () => {
    const helper = await helperOf(`readRequest(); untilEnd(); data('x'); while (readFrame());`);
    const failure = new Error('the disk is full');
    const call = helper.call('read-file', { snapshots: [], path: '/', maxBytes: 1 }, {
      onData: () => {
        throw failure;
      },
    });
    await expect(call).rejects.toBe(failure);
  });

  test('stops the operation when the source of data throws, and throws that', async () => {
    const helper = await helperOf(`readRequest(); untilEnd(); say({ failure: { code: 'cancelled', step: 'read', message: 'gone' } });`);
    const failure = new Error('the file went away');
    async function* data(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a');
      throw failure;
    }
    await expect(helper.call('copy', { name: 'u', lowers: [], actions: [] }, { data: data() })).rejects.toBe(failure);
  });
});

describe('a session with the helper', () => {
  test('passes controls and input on while the operation runs', async () => {
    const helper = await helperOf(`readRequest();
      const control = JSON.parse(readFrame().payload); const input = readFrame();
      data(control.control + ' ' + input.kind + ' ' + input.payload); end(); say({ reply: { op: 'logs' } });`);
    let text = '';
    const session = helper.open('logs', { container: 'c', follow: true }, { onData: (chunk) => void (text += Buffer.from(chunk).toString()) });
    await session.control({ control: 'closeStdin' });
    await session.write(Buffer.from('hello'));
    await session.result;
    expect(text).toBe('closeStdin 2 hello');
  });

  test('sends the end frame before it lets go of a helper that goes on', async () => {
    const helper = await helperOf(`readRequest(); const frame = readFrame();
      say({ reply: { op: 'usage', result: { snapshots: [{ name: String(frame?.kind), bytes: 0, inodes: 0 }] } } });`);
    const session = helper.open('usage', usage);
    session.close({ detach: true });
    expect((await session.result).snapshots[0]?.name).toBe('0');
  });
});

describe('the check of the binary', () => {
  test('refuses another binary than the expected one, naming both hashes, and does not start it', async () => {
    const path = await scriptedHelper(`require('node:fs').writeFileSync(process.argv[1] + '.ran', ''); `);
    const found = createHash('sha256').update(await readFile(path)).digest('hex');
    const launcher = createLauncher({ path, sha256: 'a'.repeat(64) });
    const helper = createHelper(launcher, { store, idMap: { kind: 'root' }, elevation: 'direct' });
    await expect(helper.call('usage', usage)).rejects.toMatchObject({
      code: 'HELPER_MISMATCH',
      message: `Cannot start the helper ${path}: its SHA-256 is ${found}, expected ${'a'.repeat(64)}`,
    });
    await expect(readFile(`${path}.ran`)).rejects.toThrow('ENOENT');
  });

  test('starts the expected one', async () => {
    const path = await scriptedHelper(`readRequest(); untilEnd(); say({ reply: { op: 'usage', result: { snapshots: [] } } });`);
    const sha256 = createHash('sha256').update(await readFile(path)).digest('hex');
    const helper = createHelper(createLauncher({ path, sha256 }), { store, idMap: { kind: 'root' }, elevation: 'direct' });
    expect(await helper.call('usage', usage)).toEqual({ snapshots: [] });
  });

  test('reads an executable that was found right only once, until it is another one', async () => {
    const path = await scriptedHelper(`readRequest(); untilEnd(); say({ reply: { op: 'usage', result: { snapshots: [] } } });`);
    const kept = join(path, '..', 'kept.json');
    const call = async (sha256: string): Promise<unknown> =>
      await createHelper(createLauncher({ path, sha256, kept }), { store, idMap: { kind: 'root' }, elevation: 'direct' }).call('usage', usage);
    const sha256 = createHash('sha256').update(await readFile(path)).digest('hex');
    await call(sha256);
    // Just written: its time does not yet tell it from what may be written next.
    await expect(readFile(kept)).rejects.toThrow('ENOENT');
    writeKept(kept, { version: versionOf(path), sha256: 'b'.repeat(64) });
    expect(await call('b'.repeat(64))).toEqual({ snapshots: [] });
    await expect(call('c'.repeat(64))).rejects.toMatchObject({ code: 'HELPER_MISMATCH' });
    await appendFile(path, '\n');
    await expect(call('b'.repeat(64))).rejects.toMatchObject({ code: 'HELPER_MISMATCH' });
  });

  test('says which file is missing, and for which machines there is one', async () => {
    const helper = createHelper(createLauncher({ path: '/nowhere/berth-native' }), { store, idMap: { kind: 'root' }, elevation: 'direct' });
    await expect(helper.call('usage', usage)).rejects.toMatchObject({ code: 'HELPER_MISSING' });
  });
});

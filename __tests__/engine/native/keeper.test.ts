import { afterEach, describe, expect, test } from '@jest/globals';
import { createLauncher, createSeriesHelper, createUserHelper, type Elevation } from '../../../engine/native/index.ts';
import type { Event } from '../../../engine/native/protocol.ts';
import { scriptedHelper } from '../../helpers/scripted-helper.ts';

const store = { root: '/nowhere', uid: 0, gid: 0 };

/** A helper that grants each lock by an event with its words as name: on fd 2 as `lock`, on fd 3 where it is a series with a socket. */
const SCRIPT = `
  const words = process.argv.slice(2).join(' ');
  const answer = (stream, say) => {
    let rest = Buffer.alloc(0);
    stream.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (; rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1); rest = rest.subarray(5 + rest.readUInt32BE(1))) {
        if (rest[0] === 4) say({ event: { type: 'locked', name: words } });
      }
    });
    stream.on('end', () => { say({ reply: { op: 'lock' } }); process.exit(0); });
  };
  if (words === 'lock') answer(process.stdin, say);
  if (words === 'series --locks') {
    const socket = new (require('node:net').Socket)({ fd: 3, allowHalfOpen: true });
    answer(socket, (line) => socket.write(JSON.stringify(line) + '\\n'));
    process.stdin.resume();
  }
  if (words === 'series') while (readFrame());`;

const acquire = { control: 'acquire', name: 'store', exclusive: false, wait: true } as const;

let closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closing.map((close) => close()));
  closing = [];
});

async function open(script = SCRIPT): Promise<{
  readonly user: ReturnType<typeof createUserHelper>;
  readonly startSeries: (elevation?: Elevation) => ReturnType<typeof createSeriesHelper>;
}> {
  const path = await scriptedHelper(script);
  const launcher = createLauncher({ path });
  const user = createUserHelper(launcher, store);
  const startSeries = (elevation: Elevation = 'direct'): ReturnType<typeof createSeriesHelper> => {
    const series = createSeriesHelper(launcher, { store, idMap: { kind: 'root' }, elevation }, user.isAsked);
    closing.push(series.close);
    user.expect(series.locks);
    return series;
  };
  return { user, startSeries };
}

/** The words of the process that grants a lock. */
async function keeperOf(user: ReturnType<typeof createUserHelper>): Promise<string> {
  let heard = (_: Event): void => undefined;
  const granted = new Promise<Event>((resolve) => (heard = resolve));
  const session = user.open('lock', {}, { onEvent: heard });
  closing.push(async () => {
    session.close();
    await session.result;
  });
  await session.control(acquire);
  const event = await Promise.race([granted, session.result.then(() => undefined)]);
  return event?.type === 'locked' ? event.name : 'nobody';
}

describe('locks', () => {
  test('are kept beside the series that is started after they were asked for', async () => {
    const { user, startSeries } = await open();
    startSeries();
    expect(await keeperOf(user)).toBe('series --locks');
  });

  test('have a process of their own where no series comes', async () => {
    const { user } = await open();
    expect(await keeperOf(user)).toBe('lock');
  });

  test('have a process of their own where the series was there before', async () => {
    const { user, startSeries } = await open();
    expect(await startSeries().locks).toBeUndefined();
    expect(await keeperOf(user)).toBe('lock');
  });

  test('that a series was started for are kept by no other one', async () => {
    const { user, startSeries } = await open();
    startSeries();
    await keeperOf(user);
    expect(await startSeries().locks).toBeUndefined();
  });

  test('have a process of their own where the series is root by sudo', async () => {
    const { user, startSeries } = await open();
    startSeries('sudo');
    expect(await keeperOf(user)).toBe('lock');
  });

  test('have a process of their own where no series can be started', async () => {
    const { user } = await open();
    user.expect(Promise.reject(new Error('no rung is possible here')));
    expect(await keeperOf(user)).toBe('lock');
  });

  test('that were lost with their process are taken from another one', async () => {
    const { user, startSeries } = await open(SCRIPT.replace("if (rest[0] === 4) say", "if (rest[0] === 4 && words !== 'lock') process.exit(1); if (rest[0] === 4) say"));
    startSeries();
    await expect(keeperOf(user)).rejects.toMatchObject({
      code: 'NATIVE_DIED',
      message: 'Cannot lock the store: the process that keeps its locks has ended',
      hint: 'Run the command again',
    });
    closing.pop();
    expect(await keeperOf(user)).toBe('lock');
  });
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createBerth, NO_CONTAINERS, type Berth, type BerthOptions, type Outcome } from '../helpers/berth.ts';
import { createSpace, NO_SPACES, type Space } from '../helpers/spaces.ts';
import { NO_ACCOUNTS, takeAccount } from './support/account.ts';
import { NO_BOX, writeBox } from './support/box.ts';
import { leftovers, leftoversAfter, networkLeftovers } from './support/leftovers.ts';
import { createWorld, type World } from './support/world.ts';

const reason = NO_CONTAINERS ?? NO_ACCOUNTS ?? NO_SPACES ?? NO_BOX;
if (reason !== undefined) console.log(`kill of containers: ${reason}`);

/** What is killed of every container of the store. */
type Victim = 'the monitor' | 'the process' | 'what serves its network' | 'everything';
const VICTIMS: readonly Victim[] = ['the monitor', 'the process', 'what serves its network', 'everything'];

// The machine's own network is never touched, and what is left in a namespace of our own is ours.
(reason === undefined ? describe : describe.skip)('kill -9 of containers on networks', () => {
  let store: Berth;
  let host: Space;
  const berth = (args: readonly string[], options: BerthOptions = {}): Promise<Outcome> =>
    store.berth(args, { through: host.through, ...options });
  const well = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await berth(args);
    expect({ args, stderr, code }).toEqual({ args, stderr: '', code: 0 });
    return stdout;
  };
  const left = async (): Promise<readonly string[]> => [
    ...(await leftoversAfter(store.root, 5)),
    ...(await networkAfter(host, 5)),
  ];

  beforeAll(async () => {
    [store, host] = await Promise.all([createBerth(), createSpace()]);
    await well('build', '-q', '-t', 'box', await writeBox(store.work));
  }, 120_000);
  afterAll(async () => {
    await berth(['rm', '-f', ...(await berth(['ps', '-aq'])).stdout.split('\n').filter(Boolean)]);
    host.close();
    await store.remove();
  });

  test.each(VICTIMS)('of %s: the next command finds each as it is, and nothing is left', async (victim) => {
    await well('network', 'create', 'net');
    await well('run', '-d', '--name', 'web', '--network', 'net', '-p', '127.0.0.1::8080', ...SERVER);
    await well(
      'run',
      '-d',
      '--name',
      'loop',
      '--network',
      'net',
      '--restart',
      'always',
      ...CHECKED,
      'box',
      'sleep',
      '1000',
    );
    await well('run', '-d', '--rm', '--name', 'once', '--network', 'net', '-v', 'kept:/kept', 'box', 'sleep', '1000');
    expect(networkLeftovers(host.through)).not.toEqual([]);
    for (const pid of victims(store.root, victim)) process.kill(pid, 'SIGKILL');

    const states = async (): Promise<string> => await well('ps', '-a', '--format', '{{.Names}} {{.State}}');
    const lost = 'loop dead\nweb dead\n';
    if (victim === 'what serves its network') {
      expect(await states()).toMatch(/^once running\nloop running\nweb running\n$/);
    } else if (victim === 'the process') {
      await until(states, /^loop running\nweb exited\n$/);
      expect(await well('inspect', '-f', '{{.State.ExitCode}}', 'web')).toBe('137\n');
    } else {
      await until(states, new RegExp(`^${lost}$`));
      expect(await left()).toEqual([]);
    }

    await berth(['rm', '-f', '-v', 'web', 'loop', 'once']);
    await well('network', 'rm', 'net');
    await well('volume', 'rm', 'kept');
    expect(await well('ps', '-aq')).toBe('');
    expect(await left()).toEqual([]);
    expect(await well('volume', 'ls', '-q')).toBe('');
    expect(await well('system', 'fsck')).not.toMatch(/problem: /);
  });

  test('of the command that is attached, at six moments: the container goes with it', async () => {
    const began = performance.now();
    await well('run', '--rm', '-p', '127.0.0.1::8080', 'box', 'true');
    const whole = performance.now() - began;
    for (let point = 1; point <= 6; point += 1) {
      const running = berth(['run', '--rm', '-p', '127.0.0.1::8080', 'box', 'sleep', '1000'], {
        onStart: (child) => void delay((whole * point) / 5).then(() => child.kill('SIGKILL')),
      });
      await running;
      await well('ps', '-a');
      expect(await left()).toEqual([]);
      expect(await well('ps', '-aq')).toBe('');
    }
    // A volume that was just made for a container waits a minute: a helper may be about to start it.
    const run = join(store.root, 'run');
    for (const note of readdirSync(run).filter((name) => name.startsWith('volumes-')))
      utimesSync(join(run, note), 0, 0);
    await well('ps', '-a');
    expect(await well('volume', 'ls', '-q')).toBe('');
    expect(await well('system', 'fsck')).not.toMatch(/problem: /);
  });

  test('of a command that starts one in the background, at six moments: it is there, or nothing of it', async () => {
    const began = performance.now();
    await well('rm', '-f', (await well('run', '-d', '-p', '127.0.0.1::8080', ...SERVER)).trim());
    const whole = performance.now() - began;
    for (let point = 1; point <= 6; point += 1) {
      await berth(['run', '-d', '--name', `bg${point}`, '-p', '127.0.0.1::8080', ...SERVER], {
        onStart: (child) => void delay((whole * point) / 7).then(() => child.kill('SIGKILL')),
      });
      expect(await well('ps', '-a', '--format', '{{.State}}')).toMatch(/^(running\n)?$/);
      await berth(['rm', '-f', '-v', `bg${point}`]);
      expect(await left()).toEqual([]);
    }
    expect(await well('system', 'fsck')).not.toMatch(/problem: /);
  });
});

(reason === undefined ? describe : describe.skip).each(['sudo', 'subuid'] as const)(
  'kill -9 of containers, with %s',
  (kind) => {
    let world: World;
    const well = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await world.berth(args);
      expect({ args, stderr, code }).toEqual({ args, stderr: expect.not.stringContaining('Cannot'), code: 0 });
      return stdout;
    };
    beforeAll(async () => {
      world = createWorld(takeAccount(kind));
      const context = await writeBox(world.folder);
      execFileSync('chown', ['-R', `${world.account.uid}:${world.account.gid}`, context]);
      await well('build', '-q', '-t', 'box', context);
    }, 120_000);
    afterAll(() => world.remove());

    test.each(['the monitor', 'the process', 'everything'] as const)('of %s leaves nothing', async (victim) => {
      const before = new Set(leftovers(world.store));
      await well('run', '-d', '--name', 'web', '--network', 'private', '-p', '127.0.0.1::8080', ...SERVER);
      await well('run', '-d', '--rm', '--network', 'none', 'box', 'sleep', '1000');
      for (const pid of victims(world.store, victim)) process.kill(pid, 'SIGKILL');
      await until(async () => await well('ps', '-a', '--format', '{{.State}}'), /^(dead|exited)\n$/);
      expect((await leftoversAfter(world.store, 5)).filter((line) => !before.has(line))).toEqual([]);
      await well('rm', '-v', 'web');
      expect(await well('ps', '-aq')).toBe('');
      expect(await well('system', 'fsck')).not.toMatch(/problem: /);
    });
  },
);

const SERVER = ['box', 'httpd', '-f', '-p', '8080', '-h', '/www'];
const CHECKED = ['--health-cmd', 'true', '--health-interval', '1s'];

/** Processes of every container that the store keeps, by what they are. */
function victims(store: string, victim: Victim): readonly number[] {
  const states = readdirSync(join(store, 'containers')).map((id) => stateOf(join(store, 'containers', id)));
  const pids = (pick: (state: State) => readonly (number | undefined)[]): readonly number[] =>
    states.flatMap(pick).filter((pid) => pid !== undefined);
  const serving = ({ monitor, process: main }: State): readonly number[] =>
    childrenOf(monitor?.pid ?? 0).filter((pid) => pid !== main?.pid);
  if (victim === 'the monitor') return pids(({ monitor }) => [monitor?.pid]);
  if (victim === 'the process') return pids(({ process: main }) => [main?.pid]);
  if (victim === 'what serves its network') return pids(serving);
  return pids((state) => [state.monitor?.pid, ...serving(state), state.process?.pid]);
}

interface State {
  readonly monitor?: { readonly pid: number } | null;
  readonly process?: { readonly pid: number } | null;
}

function stateOf(folder: string): State {
  // Type: the helper's own file; only the numbers of processes are read.
  return JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')) as State;
}

function childrenOf(pid: number): readonly number[] {
  return execFileSync('sh', ['-c', `cat /proc/${pid}/task/*/children 2>/dev/null || true`], { encoding: 'utf8' })
    .split(' ')
    .filter(Boolean)
    .map(Number);
}

/** Asks again until the answer is the wanted one; a monitor that was not killed needs a moment to see the end. */
async function until(act: () => Promise<string>, wanted: RegExp): Promise<void> {
  const end = performance.now() + 20_000;
  for (let text = await act(); !wanted.test(text); text = await act()) {
    if (performance.now() > end) return expect(text).toMatch(wanted);
  }
}

async function networkAfter(space: Space, seconds: number): Promise<readonly string[]> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const found = networkLeftovers(space.through);
    if (found.length === 0 || performance.now() > end) return found;
    await delay(50);
  }
}

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isEngineError } from '../../engine/base/errors.ts';
import type { ContainerHandle, Containers, ContainerSummary, Engine } from '../../engine/index.ts';
import { createBerth, NO_CONTAINERS, type Berth } from '../helpers/berth.ts';
import { openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';
import { NO_BOX, writeBox } from './support/box.ts';
import { leftoversAfter } from './support/leftovers.ts';

const reason = NO_CONTAINERS ?? NO_BOX;
if (reason !== undefined) console.log(`rounds: ${reason}`);
const suite = reason === undefined ? describe : describe.skip;

/** What one of two commands does to the container `it`. */
type Act = (containers: Containers, engine: Engine) => Promise<unknown>;
interface Pair {
  readonly name: string;
  /** How it is before: running (the rule), created, or not there; on a network of its own, or with one that waits for it. */
  readonly begin?: 'created' | 'nothing' | 'joined' | 'network';
  readonly both: readonly [Act, Act];
  /** What Docker would say to the one that comes second, for each; without one, it may not fail. */
  readonly says: readonly [RegExp | undefined, RegExp | undefined];
  /** At least one is done; for a name or a thing that only one can have, exactly one. */
  readonly wins?: 'exactly one';
  /** {@link ROUNDS} when left out. */
  readonly rounds?: number;
  /** Status afterwards. */
  readonly ends: RegExp;
}

const GONE = /No such container: it/;
const STILL = /is not running/;
const GONE_OR_STILL = /No such container: it|is not running/;
const NO_NETWORK = /network lessons not found|the network was removed \(lessons\)/;
const BUSY = /container is (running|restarting)|is running/;
const stop: Act = async (containers) => await containers.stop('it', { seconds: 0 });
const kill: Act = async (containers) => await containers.kill('it');
const start: Act = async (containers) => await containers.start('it');
const remove: Act = async (containers) => await containers.remove('it');
const removeForced: Act = async (containers) => await containers.remove('it', { force: true, volumes: true });
const restart: Act = async (containers) => await containers.restart('it', { seconds: 0 });
const rename: Act = async (containers) => await containers.rename('it', 'other');
const inspect: Act = async (containers) => await containers.inspect('it');
const pause: Act = async (containers) => await containers.pause('it');
const wait: Act = async (containers) => await containers.wait('it');
const update: Act = async (containers) =>
  await containers.update('it', { restart: { policy: 'always', maxRetries: 0 } });
const exec: Act = async (containers) => await endOf(await containers.exec('it', { command: ['true'] }));
const attach: Act = async (containers) => await endOf(await containers.attach('it'));
const logs: Act = async (containers) => await containers.logs('it', { follow: false });
const follow: Act = async (containers) => await containers.logs('it', { follow: true });
const copy: Act = async (containers) =>
  await containers.copy({ kind: 'container', container: 'it', path: '/bin' }, { kind: 'tar', onData: () => undefined });
const run: Act = async (containers) => await begin(containers);
const create: Act = async (containers) => await containers.create({ image: 'box', name: 'it', network: 'none' });
const joins = { image: 'box', name: 'it', network: 'lessons' } as const;
const runJoined: Act = async (containers) => await containers.run({ ...joins, detach: true });
/** At another moment of the start each time: the gap that it could fall into is a small part of it. */
let moment = 0;
const pruneNetworks: Act = async (_, { networks }) => {
  await delay((moment++ % 10) * 6);
  return await networks.prune();
};
const removeNetwork: Act = async (_, { networks }) => await networks.remove('lessons');
const removeVolume: Act = async (_, { volumes }) => await volumes.remove('kept');

const PAIRS: readonly Pair[] = [
  { name: 'stop and kill', both: [stop, kill], says: [undefined, STILL], ends: /exited/ },
  { name: 'stop and stop', both: [stop, stop], says: [undefined, undefined], ends: /exited/ },
  { name: 'rm -f and exec', both: [removeForced, exec], says: [undefined, GONE_OR_STILL], ends: /gone/ },
  { name: 'rm -f and rm -f', both: [removeForced, removeForced], says: [GONE, GONE], ends: /gone/ },
  { name: 'rm -f and wait', both: [removeForced, wait], says: [undefined, GONE], ends: /gone/ },
  { name: 'rm -f and logs -f', both: [removeForced, follow], says: [undefined, GONE], ends: /gone/ },
  { name: 'rm -f and cp', both: [removeForced, copy], says: [undefined, GONE_OR_STILL], ends: /gone/ },
  { name: 'rm -f and restart', both: [removeForced, restart], says: [BUSY, GONE], ends: /gone|running/ },
  { name: 'start and rm', begin: 'created', both: [start, remove], says: [GONE, BUSY], ends: /gone|running/ },
  { name: 'start and start', begin: 'created', both: [start, start], says: [undefined, undefined], ends: /running/ },
  {
    name: 'start and stop',
    begin: 'created',
    both: [start, stop],
    says: [undefined, undefined],
    ends: /running|exited/,
  },
  { name: 'rename and inspect', both: [rename, inspect], says: [undefined, GONE], ends: /running/ },
  { name: 'rename and rename', both: [rename, rename], says: [GONE, GONE], ends: /running/ },
  { name: 'restart and logs', both: [restart, logs], says: [undefined, undefined], ends: /running/ },
  { name: 'restart and stop', both: [restart, stop], says: [undefined, undefined], ends: /running|exited/ },
  { name: 'pause and kill', both: [pause, kill], says: [STILL, undefined], ends: /exited/ },
  { name: 'update and stop', both: [update, stop], says: [undefined, undefined], ends: /exited/ },
  { name: 'attach and stop', both: [attach, stop], says: [STILL, undefined], ends: /exited/ },
  {
    name: 'run and run of one name',
    begin: 'nothing',
    both: [run, run],
    says: [/"\/it" is already in use/, /"\/it" is already in use/],
    wins: 'exactly one',
    ends: /running/,
  },
  {
    name: 'create and create of one name',
    begin: 'nothing',
    both: [create, create],
    says: [/"\/it" is already in use/, /"\/it" is already in use/],
    wins: 'exactly one',
    ends: /created/,
  },
  {
    name: 'run with a volume and its removal',
    begin: 'nothing',
    both: [run, removeVolume],
    says: [undefined, /volume is in use|no such volume/],
    ends: /running/,
  },
  {
    name: 'run on a network and a prune of networks',
    begin: 'network',
    both: [runJoined, pruneNetworks],
    rounds: 10,
    says: [NO_NETWORK, undefined],
    ends: /running|gone/,
  },
  {
    name: 'run on a network and its removal',
    begin: 'network',
    both: [runJoined, removeNetwork],
    says: [NO_NETWORK, /has active endpoints/],
    wins: 'exactly one',
    ends: /running|gone/,
  },
  {
    name: 'start on a network and a prune of networks',
    begin: 'joined',
    both: [start, pruneNetworks],
    rounds: 10,
    says: [NO_NETWORK, undefined],
    ends: /running|created|exited/,
  },
];
/** Rounds of each pair: with the eight of the command line, a hundred and more. */
const ROUNDS = 5;

suite('two at once on one container, in the engine', () => {
  let world: TestEngine;
  let engines: readonly [Engine, Engine];
  beforeAll(async () => {
    world = await openTestEngine();
    engines = [world.engine, await world.again()];
    await world.build(`${SHELL}ENV PATH=/bin\nCMD ["sleep", "1000"]\n`, { tags: ['box'] });
  }, 120_000);
  afterAll(async () => {
    for (const { id } of await world.engine.containers.list({ all: true })) {
      await world.engine.containers.remove(id, { force: true, volumes: true });
    }
    await engines[1].close();
    await world.close();
  });

  test.each(PAIRS.map((pair) => [pair.name, pair] as const))('%s', async (_, pair) => {
    for (let round = 0; round < (pair.rounds ?? ROUNDS); round += 1) {
      const { containers } = world.engine;
      for (const { id } of await containers.list({ all: true })) await containers.remove(id, { force: true });
      await prepare(world.engine, pair.begin);
      const outcomes = await Promise.allSettled(pair.both.map((act, index) => act(...sideOf(engines, index))));

      const refused = outcomes.flatMap((outcome, index) =>
        outcome.status === 'rejected' ? [{ ...outcome, index }] : [],
      );
      for (const { reason: error, index } of refused as readonly {
        readonly reason: unknown;
        readonly index: number;
      }[]) {
        if (!isEngineError(error)) throw error;
        expect({ side: index, message: error.message }).toEqual({
          side: index,
          message: expect.stringMatching(pair.says[index] ?? /^it may not fail$/),
        });
      }
      expect(refused.length).toBeLessThan(2);
      if (pair.wins) expect(refused).toHaveLength(1);
      const all = await settled(containers, pair.ends);
      expect(all.length).toBeLessThan(2);
      checkRecords(world.root);
      await checkNetworks(world.engine, all);

      for (const { id } of all) await containers.remove(id, { force: true, volumes: true });
      for (const { name } of await world.engine.volumes.list()) await world.engine.volumes.remove(name);
      await world.engine.networks.prune();
      expect(await leftoversOf(world.root, KEEPER)).toEqual([]);
    }
  });
});

suite('two at once on one container, by two command lines', () => {
  let store: Berth;
  beforeAll(async () => {
    store = await createBerth();
    const { code, stderr } = await store.berth(['build', '-q', '-t', 'box', await writeBox(store.work)]);
    if (code !== 0) throw new Error(stderr);
  }, 120_000);
  afterAll(async () => await store.remove());

  test.each([
    ['stop -t 0 it', 'kill it', [0, 0], [0, 1]],
    ['rm -f it', 'exec it true', [0, 0], [0, 1], [0, 137]],
    ['rm -f it', 'logs -f it', [0, 0], [0, 1]],
    ['restart -t 0 it', 'logs it', [0, 0]],
    ['rename it other', 'inspect it', [0, 0], [0, 1]],
    ['stop -t 0 it', 'stop -t 0 it', [0, 0]],
    ['run -d --name two box sleep 9', 'run -d --name two box sleep 9', [0, 125], [125, 0]],
    ['cp it:/data -', 'rm -f it', [0, 0], [1, 0]],
  ] as readonly (readonly [string, string, ...(readonly (readonly [number, number])[])])[])(
    '%s and %s',
    async (first, second, ...codes) => {
      await store.berth(['run', '-d', '--network', 'none', '--name', 'it', 'box', 'sleep', '1000']);
      const outcomes = await Promise.all([first, second].map((line) => store.berth(line.split(' '))));
      expect(codes).toContainEqual(outcomes.map(({ code }) => code));
      for (const { stderr } of outcomes) {
        expect(stderr.split('\n').filter((line) => line !== '' && !/^(berth|hint): /.test(line))).toEqual([]);
      }
      checkRecords(store.root);
      for (const id of (await store.berth(['ps', '-aq'])).stdout.split('\n').filter(Boolean)) {
        expect(await store.berth(['rm', '-f', '-v', id])).toMatchObject({ code: 0, stderr: '' });
      }
      expect(await leftoversOf(store.root)).toEqual([]);
      expect(await store.berth(['system', 'fsck'])).toMatchObject({
        code: 0,
        stdout: expect.not.stringContaining('problem: '),
      });
    },
  );
});

function sideOf(engines: readonly [Engine, Engine], index: number): Parameters<Act> {
  const engine = index === 0 ? engines[0] : engines[1];
  return [engine.containers, engine];
}

async function prepare(engine: Engine, begins: Pair['begin']): Promise<void> {
  if (begins === 'network' || begins === 'joined') await engine.networks.create({ name: 'lessons' });
  if (begins === 'nothing') await engine.volumes.create({ name: 'kept' });
  else if (begins === 'network') return;
  else if (begins === 'joined') await engine.containers.create(joins);
  else if (begins === 'created') await create(engine.containers, engine);
  else await begin(engine.containers);
}

async function begin(containers: Containers): Promise<ContainerHandle> {
  return await containers.run({
    image: 'box',
    name: 'it',
    detach: true,
    network: 'none',
    mounts: [{ type: 'volume', source: 'kept', target: '/kept' }],
  });
}

/** A container that runs is on networks that are there. */
async function checkNetworks({ networks }: Engine, all: readonly ContainerSummary[]): Promise<void> {
  const there = (await networks.list()).map(({ name }) => name);
  for (const { status, networks: on } of all) {
    if (status === 'running') expect(there).toEqual(expect.arrayContaining(on.map(({ name }) => name)));
  }
}

/** What there is when it is as it must become: a signal does not wait for the end. */
async function settled(containers: Containers, ends: RegExp): Promise<readonly ContainerSummary[]> {
  const due = performance.now() + 20_000;
  for (;;) {
    const all = await containers.list({ all: true });
    const status = all[0]?.status ?? 'gone';
    if (ends.test(status)) return all;
    if (performance.now() > due) expect(status).toMatch(ends);
  }
}

async function endOf(handle: ContainerHandle): Promise<unknown> {
  return await handle.ended;
}

/** Each file of each container is whole. */
function checkRecords(root: string): void {
  const all = join(root, 'containers');
  for (const id of existsSync(all) ? readdirSync(all) : []) {
    for (const name of readdirSync(join(all, id)).filter(
      (file) => /^[a-z]+\.json$/.test(file) && file !== 'log.json',
    )) {
      expect(() => void JSON.parse(readFileSync(join(all, id, name), 'utf8'))).not.toThrow();
    }
  }
}

/** What keeps the locks of an engine that is open: it came with the engine's series. */
const KEEPER = /^process \d+ \(\S*berth-native-\S+ series --locks\)/;

/** The helper of an engine that is open holds files of the store; nothing else may. */
async function leftoversOf(root: string, keeper?: RegExp): Promise<readonly string[]> {
  const own = (line: string): boolean =>
    !keeper?.test(line) && !/^process \d+ \(\S*berth-native-\S+ (lock|serve)/.test(line) && !line.startsWith('lock ');
  return (await leftoversAfter(root, 0.5)).filter(own);
}

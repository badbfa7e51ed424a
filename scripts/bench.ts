// berth beside docker, buildah and podman: `npm run bench`. See bench/README.md.
//
//   --runs N           rounds, 5 by default: each takes one sample of each task and tool, and several of what is short
//   --only W1,W6       workloads; all by default
//   --peers berth,…    tools; all that are here by default
//   --out FOLDER       where performance.json, .md and .svg go, docs/ by default
//   --state FOLDER     where images and files lie, a folder below /var/tmp by default; it needs 20 GB
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startDockerRegistry } from '../__tests__/helpers/docker-registry.ts';
import { ensurePythonBase } from './base-image.ts';
import { describeMachine } from './bench/machine.ts';
import { measure, settled, type Sample } from './bench/measure.ts';
import { PEER_NAMES, startPeers } from './bench/peers/index.ts';
import type { Peer } from './bench/peers/types.ts';
import { formatPlot } from './bench/plot.ts';
import { formatPage } from './bench/report.ts';
import { figuresOf, resultOf, type Results, type TaskResults } from './bench/results.ts';
import { WORKLOADS } from './bench/workloads/index.ts';
import type { Task } from './bench/workloads/types.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    only: { type: 'string', default: Object.keys(WORKLOADS).join(',') },
    peers: { type: 'string', default: PEER_NAMES.join(',') },
    out: { type: 'string', default: resolve(import.meta.dirname, '../docs') },
    state: { type: 'string' },
  },
});
await main();

async function main(): Promise<void> {
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs takes a whole number from 1, not ${values.runs}`);
  const only = chosen('--only', values.only, Object.keys(WORKLOADS));
  // In the order of the report, whatever order they were asked for in.
  const workloads = Object.keys(WORKLOADS).filter((name) => only.includes(name));
  const names = chosen('--peers', values.peers, PEER_NAMES);
  const state = values.state ?? (await mkdtemp('/var/tmp/berth-bench-'));
  await mkdir(state, { recursive: true });
  const closers: (() => Promise<void>)[] = [];
  if (values.state === undefined) closers.push(async () => await rm(state, { recursive: true, force: true }));
  const interrupted = new Promise<never>((_resolve, reject) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => reject(new Error(`Ended by ${name}`)));
  });
  try {
    await Promise.race([interrupted, bench({ runs, workloads, names, state, closers })]);
  } finally {
    // Daemons too: each was put here when it had come up. One that does not end keeps none of the others.
    for (const close of closers.toReversed())
      await close().catch((error: unknown) => say(`Left behind: ${String(error)}`));
  }
}

interface Plan {
  readonly runs: number;
  readonly workloads: readonly string[];
  readonly names: readonly string[];
  readonly state: string;
  /** Takes what must be ended, the last one first. */
  readonly closers: (() => Promise<void>)[];
}

async function bench({ runs, workloads, names, state, closers }: Plan): Promise<void> {
  const registry = await startDockerRegistry();
  closers.push(async () => await registry.close());
  await ensurePythonBase({ registry: `http://${registry.address}`, cache: baseCache(), onLine: say });
  const machine = await describeMachine(state);
  const peers: Peer[] = [];
  const onPeer = (peer: Peer): void => {
    peers.push(peer);
    closers.push(async () => await peer.close());
  };
  await startPeers(names, { registry: registry.address, state }, { onLine: say, onPeer });
  const tasks: TaskResults[] = [];
  for (const name of workloads) {
    const folder = join(state, 'files', name);
    await mkdir(folder, { recursive: true });
    const list = await WORKLOADS[name]?.({ folder, registry: registry.address });
    tasks.push(...(await runAll(list ?? [], peers, runs)));
    await rm(folder, { recursive: true, force: true });
    // After each workload: what a later one fails by shall not lose what was measured.
    await write({ machine, peers: peers.map(({ name, version }) => ({ name, version })), tasks });
  }
}

function chosen(flag: string, text: string, known: readonly string[]): readonly string[] {
  const names = text.split(',');
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${flag} takes some of ${known.join(', ')}, not ${unknown}`);
  return names;
}

/**
 * Peers take turns, and each run begins with another of them. A task of ours that fails fails the benchmark; a peer that cannot do one on this
 * machine is left out of it, and that is said.
 */
async function runAll(tasks: readonly Task[], peers: readonly Peer[], runs: number): Promise<readonly TaskResults[]> {
  const samples = new Map<Task, Map<Peer | 'floor', Sample[]>>(tasks.map((task) => [task, new Map()]));
  const add = async (task: Task, who: Peer | 'floor', run: number, act: () => Promise<void>): Promise<void> => {
    const sample = await measure(act);
    const list = samples.get(task)?.get(who) ?? [];
    samples.get(task)?.set(who, [...list, sample]);
    const name = who === 'floor' ? who : who.name;
    say(`${task.name.padEnd(12)} run ${run + 1} ${name.padEnd(26)} ${sample.wall.toFixed(2)} s`);
  };
  const failed = new Map<Task, Set<Peer>>(tasks.map((task) => [task, new Set()]));
  for (let run = 0; run < runs; run += 1) {
    for (const peer of [...peers.slice(run % peers.length), ...peers.slice(0, run % peers.length)]) {
      const able = tasks.filter((task) => (task.can?.(peer) ?? true) && failed.get(task)?.has(peer) !== true);
      for (const task of able) {
        try {
          for (const sample of samplesOf(task, run)) {
            await task.prepare(peer, sample);
            await settled();
            await add(task, peer, run, async () => await task.act(peer, sample));
          }
        } catch (error) {
          if (peer.name === 'berth') throw error;
          failed.get(task)?.add(peer);
          say(`${task.name} is left out for ${peer.name}: ${messageOf(error)}`);
        }
      }
      for (const task of able) await task.after?.(peer, run).catch((error: unknown) => say(messageOf(error)));
    }
    const unpacking = peers.find(({ unpack }) => unpack);
    for (const task of unpacking ? tasks : []) {
      const { floor } = task;
      if (!floor || !unpacking) continue;
      await floor.prepare(unpacking);
      await add(task, 'floor', run, async () => await floor.act());
    }
  }
  return tasks.map((task) => {
    const able = peers.filter((peer) => failed.get(task)?.has(peer) !== true);
    return toResults(task, able, samples.get(task) ?? new Map());
  });
}

/** The numbers of the samples that a run takes of a task. */
function samplesOf({ samples = 1 }: Task, run: number): readonly number[] {
  return Array.from({ length: samples }, (_, at) => run * samples + at);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function toResults(
  { name, title, floor }: Task,
  peers: readonly Peer[],
  samples: ReadonlyMap<Peer | 'floor', readonly Sample[]>,
): TaskResults {
  const found = peers.flatMap((peer) => {
    const own = samples.get(peer);
    return own ? [resultOf(peer.name, own)] : [];
  });
  const own = samples.get('floor');
  return { name, title, results: found, ...(floor && own ? { floor: { title: floor.title, ...figuresOf(own) } } : {}) };
}

async function write(results: Results): Promise<void> {
  await mkdir(values.out, { recursive: true });
  const to = async (name: string, text: string): Promise<void> => await writeFile(join(values.out, name), text);
  await to('performance.json', `${JSON.stringify(results, undefined, 2)}\n`);
  await to('performance.md', formatPage(results));
  await to('performance.svg', formatPlot(results));
  say(`Written: performance.json, .md and .svg in ${values.out}`);
}

function baseCache(): string {
  return process.env['BERTH_DEMO_BASE'] ?? join(homedir(), '.cache/berth-base-images');
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

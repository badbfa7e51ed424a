// berth beside docker, buildah and podman: `npm run bench`. See bench/README.md.
//
//   --runs N           samples of each task and tool, 5 by default
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
import { measure, type Sample } from './bench/measure.ts';
import { PEER_NAMES, startPeers } from './bench/peers/index.ts';
import type { Peer } from './bench/peers/types.ts';
import { formatPlot } from './bench/plot.ts';
import { formatPage } from './bench/report.ts';
import { resultOf, type Results } from './bench/results.ts';
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
  const workloads = chosen('--only', values.only, Object.keys(WORKLOADS));
  const names = chosen('--peers', values.peers, PEER_NAMES);
  const state = values.state ?? (await mkdtemp('/var/tmp/berth-bench-'));
  await mkdir(state, { recursive: true });
  const registry = await startDockerRegistry();
  let peers: readonly Peer[] = [];
  try {
    await ensurePythonBase({ registry: `http://${registry.address}`, cache: baseCache(), onLine: say });
    const machine = await describeMachine(state);
    peers = await startPeers(names, { registry: registry.address, state }, say);
    const tasks: Results['tasks'][number][] = [];
    for (const name of workloads) {
      const folder = join(state, 'files', name);
      await mkdir(folder, { recursive: true });
      const list = await WORKLOADS[name]?.({ folder, registry: registry.address });
      tasks.push(...(await runAll(list ?? [], peers, runs)));
      await rm(folder, { recursive: true, force: true });
    }
    await write({ machine, peers: peers.map(({ name, version }) => ({ name, version })), tasks });
  } finally {
    for (const peer of peers) await peer.close();
    await registry.close();
    if (values.state === undefined) await rm(state, { recursive: true, force: true });
  }
}

function chosen(flag: string, text: string, known: readonly string[]): readonly string[] {
  const names = text.split(',');
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${flag} takes some of ${known.join(', ')}, not ${unknown}`);
  return names;
}

/** Peers take turns, and each run begins with another of them; a run that fails fails the benchmark. */
async function runAll(tasks: readonly Task[], peers: readonly Peer[], runs: number): Promise<Results['tasks']> {
  const samples = new Map<Task, Map<Peer, Sample[]>>(
    tasks.map((task) => [task, new Map(peers.map((peer) => [peer, []]))]),
  );
  for (let run = 0; run < runs; run += 1) {
    for (const peer of [...peers.slice(run % peers.length), ...peers.slice(0, run % peers.length)]) {
      for (const task of tasks) {
        await task.prepare(peer, run);
        const sample = await measure(async () => await task.act(peer, run));
        samples.get(task)?.get(peer)?.push(sample);
        say(`${task.name.padEnd(12)} run ${run + 1} ${peer.name.padEnd(26)} ${sample.wall.toFixed(2)} s`);
      }
      for (const task of tasks) await task.after?.(peer, run);
    }
  }
  return tasks.map((task) => ({
    name: task.name,
    title: task.title,
    results: peers.map((peer) => resultOf(peer.name, samples.get(task)?.get(peer) ?? [])),
  }));
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

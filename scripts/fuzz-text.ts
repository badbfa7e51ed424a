// Fuzzes the engine's readers of text for a bounded time: `npm run fuzz -- SECONDS dockerfile`. A worker reads one text after the other, each made
// from the run's seed and its number; what hangs is found by this thread, which sees that the number stays.
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { TARGETS, textOf, type FuzzTarget } from '../__tests__/fuzz/index.ts';

/** A text that is read for longer hangs: processor time, since a busy machine stops for long. */
const LIMIT_MS = 10_000;
/** The same in time that passes, for what waits and computes nothing. */
const LIMIT_IDLE_MS = 120_000;

/** In the place of a number, while the seeds are read. */
const NOT_BEGUN = -1;

interface Work {
  readonly name: string;
  readonly seed: number;
  readonly first: number;
  /** Number of the text that is read. */
  readonly at: Int32Array<SharedArrayBuffer>;
}

if (parentPort) await read(workerData as Work);
else {
  const [seconds = '30', name = '', place = ''] = process.argv.slice(2);
  const target = TARGETS.find((one) => one.name === name);
  const [seed = Date.now() % 1_000_000, first = 0] = place === '' ? [] : place.split(':').map(Number);
  if (!target || !(Number(seconds) > 0) || !Number.isInteger(seed) || !Number.isInteger(first)) {
    console.error(`fuzz-text.ts SECONDS ${TARGETS.map((one) => one.name).join('|')} [SEED:FIRST]`);
    process.exit(2);
  }
  process.exitCode = await fuzz(target, { seconds: Number(seconds), seed, first });
}

async function fuzz(
  target: FuzzTarget,
  { seconds, seed, first }: { readonly seconds: number; readonly seed: number; readonly first: number },
): Promise<number> {
  const at = new Int32Array(new SharedArrayBuffer(4));
  Atomics.store(at, 0, NOT_BEGUN);
  const workerData: Work = { name: target.name, seed, first, at };
  const worker = new Worker(new URL(import.meta.url), { workerData });
  const found = new Promise<unknown>((resolve) =>
    worker
      .once('error', resolve)
      .once('exit', (code) => resolve(new Error(`the thread that reads ended with ${code}`))),
  );
  const hang = watch(at);
  const end = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), seconds * 1000).unref());
  const find = await Promise.race([found, hang.found, end]);
  hang.stop();
  await worker.terminate();
  const cases = Atomics.load(at, 0) - first + 1;
  if (find === undefined && cases < 1) {
    console.error(`fuzz ${target.name}: no text was read in ${seconds} s`);
    return 1;
  }
  if (find === undefined) {
    console.log(
      `fuzz ${target.name}: ${cases} texts in ${seconds} s from ${target.material.seeds.length} seeds, nothing found`,
    );
    return 0;
  }
  const number = Atomics.load(at, 0);
  console.error(find);
  console.error(`fuzz ${target.name}: found by ${JSON.stringify(textOf(target, seed, number))}`);
  console.error(`Again: node scripts/node24.mjs scripts/fuzz-text.ts 5 ${target.name} ${seed}:${number}`);
  return 1;
}

/** Tells of a number that stays. */
function watch(at: Int32Array<SharedArrayBuffer>): { readonly found: Promise<Error>; readonly stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<Error>();
  let [before, since, used] = [NOT_BEGUN, Date.now(), process.cpuUsage()];
  const timer = setInterval(() => {
    const now = Atomics.load(at, 0);
    if (now !== before || now === NOT_BEGUN) [before, since, used] = [now, Date.now(), process.cpuUsage()];
    else if (millisecondsSince(used) > LIMIT_MS)
      resolve(new Error(`it is read for more than ${LIMIT_MS / 1000} s of processor time`));
    else if (Date.now() - since > LIMIT_IDLE_MS)
      resolve(new Error(`it is read for more than ${LIMIT_IDLE_MS / 1000} s`));
  }, 200);
  return { found: promise, stop: () => clearInterval(timer) };
}

/** Processor time of this process, all threads. */
function millisecondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function read({ name, seed, first, at }: Work): Promise<void> {
  const target = TARGETS.find((one) => one.name === name);
  if (!target) throw new Error(`There is no target ${name}`);
  for (let number = first; ; number += 1) {
    Atomics.store(at, 0, number);
    await target.check(textOf(target, seed, number));
  }
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** One timed act. */
export interface Sample {
  /** Wall time in seconds. */
  readonly wall: number;
  /** CPU seconds that the whole machine spent meanwhile, kernel threads and daemons included. */
  readonly cpu: number;
  /** The largest drop of available memory meanwhile, in bytes: what the page cache can give back does not count. */
  readonly memory: number;
}

/** How a command is run. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const EVERY_MS = 50;
/** The longest wait for a quiet machine, what counts as quiet (CPU seconds), and for how long it must be so. */
const SETTLE_MS = 5_000;
const QUIET_CPU = 0.02;
const QUIET_MS = 250;

/** Times an act. */
export async function measure(act: () => Promise<unknown>): Promise<Sample> {
  const [memory, cpu, begun] = [watchMemory(), busy(), performance.now()];
  try {
    await act();
    const wall = (performance.now() - begun) / 1000;
    return { wall, cpu: busy() - cpu, memory: memory.stop() };
  } finally {
    memory.stop();
  }
}

/**
 * Waits until the machine has nothing left to do for what came before: a kernel takes networks down, and a daemon writes, when their command
 * has long ended, and the next one shall not pay for it. After some seconds it is as quiet as it gets.
 */
export async function settled(): Promise<void> {
  const until = performance.now() + SETTLE_MS;
  while (performance.now() < until) {
    const before = busy();
    await delay(QUIET_MS);
    if (busy() - before <= QUIET_CPU) return;
  }
}

/**
 * Runs a command to its end.
 *
 * @returns its standard output
 * @throws an `Error` with the last lines of its output, when it fails
 */
export async function run({ program, args, cwd, env }: Command): Promise<string> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
  });
  const [out, all]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => void (out.push(chunk), all.push(chunk)));
  child.stderr.on('data', (chunk: Buffer) => all.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return Buffer.concat(out).toString();
  const tail = Buffer.concat(all).toString().trimEnd().split('\n').slice(-12).join('\n');
  throw new Error(`${program} ${args.slice(0, 3).join(' ')} ended with ${String(code)}:\n${tail}`);
}

/** Resolves with the first byte that a server on loopback answers with. */
export async function firstByte(port: number): Promise<void> {
  const until = performance.now() + 30_000;
  while (performance.now() < until) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (answer) {
      await answer.body?.cancel();
      return;
    }
    await delay(2);
  }
  throw new Error(`Nothing answers on port ${port}`);
}

/** CPU seconds of all processes since boot, idle and waiting left out. */
function busy(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0] = line.trim().split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + soft) / TICKS_PER_SECOND;
}

/** `USER_HZ`, the same on every Linux machine that Node runs on. */
const TICKS_PER_SECOND = 100;

function watchMemory(): { stop(): number } {
  const before = available();
  let least = before;
  const look = (): void => void (least = Math.min(least, available()));
  const timer = setInterval(look, EVERY_MS);
  return {
    stop: () => {
      clearInterval(timer);
      look();
      return before - least;
    },
  };
}

function available(): number {
  const [, kilobytes = '0'] = /^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnAs, type Account } from './account.ts';

/** The checkout that is tested. */
export const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url));
/** Finished base images, kept between the files of one run and between runs. */
export const BASE_CACHE = join(
  process.env['XDG_CACHE_HOME'] ?? `${process.env['HOME'] ?? '/root'}/.cache`,
  'berth-base-images',
);
/** Variables of the host that say how the network is reached; a user's machine has its own. */
const NETWORK = /^(SSL_CERT_|NODE_EXTRA_CA_CERTS|https?_proxy|no_proxy)/i;

/** What a command line did. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams, in the order in which they came. */
  readonly output: string;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** A command under way. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  /** Resolves when the output so far contains `text`; rejects when the command has ended without it. */
  saw(text: string | RegExp): Promise<void>;
}

/** The built command line on a store of its own, used by one account, on a disk and not in memory. */
export interface World {
  readonly account: Account;
  readonly folder: string;
  readonly store: string;
  readonly node: string;
  /** Runs `berth` with these arguments. */
  berth(args: readonly string[], options?: StartOptions): Promise<Outcome>;
  startBerth(args: readonly string[], options?: StartOptions): Running;
  /** Runs any program as the account. */
  run(argv: readonly string[], options?: StartOptions): Promise<Outcome>;
  start(argv: readonly string[], options?: StartOptions): Running;
  remove(): Promise<void>;
}

/** Makes a world; `mirrors` is BERTH_REGISTRY_MIRRORS. */
export function createWorld(account: Account, mirrors = ''): World {
  const folder = mkdtempSync('/var/tmp/berth-e2e-');
  chmodSync(folder, 0o755);
  cpSync(join(CHECKOUT, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(process.execPath, join(folder, 'node'));
  const work = join(folder, 'work');
  mkdirSync(work);
  chownSync(work, account.uid, account.gid);
  // A command that is killed leaves its folder to the world's own end.
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  chownSync(temporary, account.uid, account.gid);
  const store = join(work, 'store');
  const env = {
    ...networkEnvironment(),
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    TMPDIR: temporary,
    BERTH_ROOT: store,
    BERTH_REGISTRY_MIRRORS: mirrors,
  };
  const node = join(folder, 'node');
  const start: World['start'] = (argv, options = {}) => {
    const child = spawnAs(account, argv, { cwd: options.cwd ?? work, env: { ...env, ...options.env } });
    // A program that does not read its input closes the pipe.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
    return follow(child);
  };
  const startBerth: World['startBerth'] = (args, options) =>
    start([node, join(folder, 'dist/cli/index.js'), ...args], options);
  const world: World = {
    account,
    folder: work,
    store,
    node,
    start,
    startBerth,
    run: (argv, options) => start(argv, options).ended,
    berth: (args, options) => startBerth(args, options).ended,
    remove: async () => {
      await world.berth(['system', 'prune', '--all', '--force']);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return world;
}

/** A copy of an example that the account may read. */
export function copyExample(world: World, name: string): string {
  const target = join(world.folder, name);
  cpSync(join(CHECKOUT, 'examples', name), target, { recursive: true });
  execFileSync('chown', ['-R', `${world.account.uid}:${world.account.gid}`, target]);
  return target;
}

/** The host's own variables for certificates and proxies. */
export function networkEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => NETWORK.test(entry[0]) && entry[1] !== undefined,
    ),
  );
}

function follow(child: ChildProcess): Running {
  const streams = { stdout: '', stderr: '', output: '' };
  const listeners = new Set<() => void>();
  const take = (name: 'stdout' | 'stderr') => (chunk: Buffer) => {
    streams[name] += chunk.toString();
    streams.output += chunk.toString();
    for (const listener of listeners) listener();
  };
  child.stdout?.on('data', take('stdout'));
  child.stderr?.on('data', take('stderr'));
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, ...streams }));
  });
  const saw: Running['saw'] = async (text) => {
    const found = (): boolean => (typeof text === 'string' ? streams.output.includes(text) : text.test(streams.output));
    await Promise.race([
      new Promise<void>((resolve) => {
        const look = (): void => void (found() && resolve());
        listeners.add(look);
        look();
      }),
      ended.then((outcome) => {
        if (!found()) throw new Error(`ended with ${outcome.code} without ${String(text)}:\n${outcome.output}`);
      }),
    ]);
  };
  return { child, ended, saw };
}

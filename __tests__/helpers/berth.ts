import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleOptions } from '../../scripts/bundle.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MACHINE = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

/** The helper of this machine, if it has been built. */
export const HELPER = process.env['BERTH_NATIVE'] ?? join(ROOT, `dist/native/berth-native-${MACHINE}`);
/** Why a test of real containers cannot run here; undefined when it can. */
export const NO_CONTAINERS = !existsSync(HELPER)
  ? `no helper at ${HELPER}: npm run build`
  : process.getuid?.() !== 0
    ? 'not root: the rung without root has tests of its own'
    : undefined;

/** What a command line did. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The `berth` command on a store of its own. */
export interface Berth {
  readonly root: string;
  /** A folder for contexts and mounts. */
  readonly work: string;
  readonly berth: (args: readonly string[], options?: BerthOptions) => Promise<Outcome>;
  /** `berth FIRST | berth SECOND`; the outcome of the second. */
  readonly pipe: (first: readonly string[], second: readonly string[]) => Promise<Outcome>;
  readonly remove: () => Promise<void>;
}

export interface BerthOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A program with its arguments that starts the command, such as one that enters a namespace first. */
  readonly through?: readonly string[];
  /** Called with the child once it runs. */
  readonly onStart?: (child: ReturnType<typeof spawn>) => void;
}

/** Makes a fresh store; the command is bundled from its sources once, and runs in a process and an environment of its own. */
export async function createBerth(): Promise<Berth> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-test-'));
  const root = join(folder, 'store');
  const program = join(folder, 'cli/index.mjs');
  await build({
    ...bundleOptions,
    entryPoints: [join(ROOT, 'src/cli/index.ts')],
    outfile: program,
  });
  const berth: Berth['berth'] = (args, options = {}) => run(args, { folder, root, program }, options);
  const pipe: Berth['pipe'] = async (first, second) => {
    const chunks: Buffer[] = [];
    const sender = berth(first, {
      onStart: (child) => child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk)),
    });
    await sender;
    return await berth(second, { input: Buffer.concat(chunks) });
  };
  return { root, work: folder, berth, pipe, remove: async () => await rm(folder, { recursive: true, force: true }) };
}

function run(
  args: readonly string[],
  { folder, root, program }: { readonly folder: string; readonly root: string; readonly program: string },
  options: BerthOptions,
): Promise<Outcome> {
  // `--` as in the first line of the bundle: Node would take `--env-file` among the words for its own.
  const [command = '', ...words] = [...(options.through ?? []), process.execPath, '--', program, ...args];
  const child = spawn(command, words, {
    cwd: options.cwd ?? folder,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: folder,
      BERTH_ROOT: root,
      BERTH_NATIVE: HELPER,
      // Compiled code stays with the test.
      NODE_COMPILE_CACHE: join(folder, 'code'),
      ...options.env,
    },
    stdio: 'pipe',
  });
  options.onStart?.(child);
  child.stdin.end(options.input ?? '');
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

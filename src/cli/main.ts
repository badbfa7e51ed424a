import { createEngine, EngineError, messageOf, type Engine } from '../../engine/index.ts';
import type { Context, Overrides } from './context.ts';
import { Interrupted } from './interrupt.ts';
import { createWriter } from './output.ts';
import { createProgram } from './program.ts';
import { exitCodeOf, reportError } from './report-error.ts';
import { readSettings } from './settings.ts';
import { UsageError } from './usage-error.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs one command line and gives its exit code; the process's streams, signals and environment are read here and nowhere below. */
export async function main(argv: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const { env } = process;
  const columns = Number(env['COLUMNS']) > 0 ? Number(env['COLUMNS']) : undefined;
  const giveUp = (error: NodeJS.ErrnoException): void => controller.abort(reasonOf(error));
  const stdout = createWriter(process.stdout, giveUp, columns);
  const stderr = createWriter(process.stderr, giveUp, columns);
  const signals: Context['signals'] = { handler: undefined };
  const removeHandlers = handleSignals(signals, controller);
  let engine: Promise<Engine> | undefined;
  let failure = 1;
  const context: Context = {
    argv,
    get cwd() {
      return workingDirectory();
    },
    lookup: (name) => env[name],
    environment: env,
    stdin: process.stdin,
    stdout,
    stderr,
    signal: controller.signal,
    plain: Boolean(env['NO_COLOR']),
    signals,
    engine: async (overrides = {}) => await (engine ??= openEngine(env, overrides)),
    fail: (exitCode) => (failure = exitCode),
  };
  try {
    const exitCode = await createProgram(context);
    await stdout.send(new Uint8Array());
    // A full disk behind `>`: what was asked for is not there. A reader that left once it had seen enough is none of our business.
    if (controller.signal.reason instanceof EngineError) throw controller.signal.reason;
    return exitCode;
  } catch (error) {
    const reason: unknown = controller.signal.reason;
    if (reason instanceof Interrupted) {
      if (reason.exitCode !== 141) stderr.write(`berth: ${reason.message}\n`);
      return reason.exitCode;
    }
    reportError(error, stderr);
    return exitCodeOf(error, failure);
  } finally {
    removeHandlers();
    await engine?.then((made) => made.close()).catch(() => undefined);
  }
}

/** Where the command was started. @throws when that folder has been removed meanwhile; most commands do without it */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const why = isGone ? 'it has been removed' : messageOf(error);
    throw new EngineError('CWD_LOST', `Cannot use the working directory: ${why}`, {
      hint: 'cd to a folder that is there',
      cause: error,
    });
  }
}

/** What a failed write means: the reader has gone, or the words have no place to go to. */
function reasonOf(error: NodeJS.ErrnoException): Error {
  // EIO: the terminal has been closed.
  if (error.code === 'EPIPE' || error.code === 'EIO') return new Interrupted('SIGPIPE');
  return new EngineError('OUTPUT_FAILED', `Cannot write the output: ${error.message}`, { cause: error });
}

async function openEngine(env: NodeJS.ProcessEnv, { configFolder, ...overrides }: Overrides): Promise<Engine> {
  const variables = configFolder === undefined ? env : { ...env, DOCKER_CONFIG: configFolder };
  const settings = readSettings(variables, { uid: process.getuid?.() ?? 0 });
  if (overrides.buildCa && settings.caFile === undefined) {
    throw new UsageError(
      'Cannot use --build-ca: no bundle of certificate authorities is named',
      'set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS to its path',
    );
  }
  return await createEngine({ ...settings, keyring: true, ...overrides });
}

/** The first signal lets everything clean up, the second one leaves at once: the helper cleans up when it finds us gone. */
function handleSignals(signals: Context['signals'], controller: AbortController): () => void {
  const handlers = SIGNALS.map((name) => {
    const handler = (): void => {
      if (signals.handler) signals.handler(name);
      else if (controller.signal.aborted) process.exit(new Interrupted(name).exitCode);
      else controller.abort(new Interrupted(name));
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  return () => handlers.forEach((remove) => remove());
}

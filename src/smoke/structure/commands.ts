import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { isEngineError, messageOf, type Ended, type RunSpec } from '../../../engine/index.ts';
import { causeOf } from '../ended.ts';
import type { Check } from '../report.ts';
import { rowOf, withVariables, type StructureContext } from './context.ts';
import { expand } from './expand.ts';
import { textProblems } from './file-tests.ts';
import type { CommandTest, RunOptions } from './types.ts';

/** Milliseconds that one command may take. */
const LIMIT = 10 * 60_000;
/** Bytes of one stream that are kept. */
const MAX_OUTPUT = 4 << 20;

/**
 * Runs a command in a container of its own, in place of the image's entrypoint. Each command of `setup` runs before it in a container on what the
 * one before left, and those of `teardown` after it. Containers and the images between them are gone when this returns.
 *
 * @param env variables of the image with those of the file
 */
export async function runCommandTest(
  test: CommandTest,
  options: RunOptions,
  env: ReadonlyMap<string, string>,
  context: StructureContext,
): Promise<Check> {
  const start = performance.now();
  const variables = withVariables(env, test.env);
  const chain = createChain(
    options,
    [...variables].map(([key, value]) => `${key}=${value}`),
    context,
  );
  const notes: string[] = [];
  let problems: readonly string[] = [];
  let log = '';
  try {
    for (const command of test.setup) notes.push(...noteOf('setup', command, await chain.runAndKeep(command)));
    const ran = await (test.teardown.length > 0 ? chain.runAndKeep : chain.run)(
      test.command.map((word) => expand(word, env)),
    );
    problems = problemsOf(test, ran);
    log = 'problem' in ran ? '' : `${ran.stdout}\n${ran.stderr}`;
    for (const command of test.teardown) notes.push(...noteOf('teardown', command, await chain.run(command)));
  } finally {
    await chain.dispose();
  }
  const summary = `${test.command.join(' ').slice(0, 100)} → ${test.exitCode}`;
  const milliseconds = performance.now() - start;
  const row = rowOf(`command test: ${test.name}`, [...problems, ...(problems.length > 0 ? notes : [])], {
    ...context,
    location: test.location,
    summary,
    milliseconds,
  });
  if (problems.length > 0) return withCause(row, log, context);
  // The tool says nothing of a setup that fails; it is no reason to call a test red that passes.
  return notes.length === 0 ? row : { ...row, status: 'warning', summary: context.mask(notes.join('; ')) };
}

type Ran =
  { readonly exitCode: number; readonly stdout: string; readonly stderr: string } | { readonly problem: string };

function problemsOf(test: CommandTest, ran: Ran): readonly string[] {
  if ('problem' in ran) return [ran.problem];
  const { expectedOutput, excludedOutput, expectedError, excludedError, exitCode } = test;
  return [
    ...textProblems('error', ran.stderr, { expected: expectedError, excluded: excludedError }),
    ...textProblems('output', ran.stdout, { expected: expectedOutput, excluded: excludedOutput }),
    ...(ran.exitCode === exitCode ? [] : [`exit code: wanted ${exitCode}, got ${ran.exitCode}`]),
  ];
}

/** That a command beside the one under test went wrong, with its last words. */
function noteOf(when: 'setup' | 'teardown', command: readonly string[], ran: Ran): readonly string[] {
  const what = `${when}: ${command.join(' ').slice(0, 100)}`;
  if ('problem' in ran) return [`${what}: ${ran.problem}`];
  if (ran.exitCode === 0) return [];
  const last = ran.stderr.trimEnd().split('\n').at(-1) ?? '';
  return [`${what} exited with ${ran.exitCode}${last === '' ? '' : `: ${last.slice(0, 300)}`}`];
}

/** What the command said, and what its words tell of the cause. */
function withCause(row: Check, log: string, { mask }: StructureContext): Check {
  const cause = causeOf(undefined, log);
  const lines = log.split('\n').filter((line) => line !== '');
  const failure = row.failure && { ...row.failure, log: lines.slice(-50).map((line) => mask(line.slice(0, 4096))) };
  if (cause.reason !== 'needs-network') return { ...row, failure };
  return {
    ...row,
    failure,
    hint: 'Command tests have no way out to the network: write `run: { network: egress }` in the smoke test',
  };
}

/** Containers one after the other, each on what the one before left. */
interface Chain {
  run(this: void, command: readonly string[]): Promise<Ran>;
  runAndKeep(this: void, command: readonly string[]): Promise<Ran>;
  /** Removes what is left of them. */
  dispose(): Promise<void>;
}

function createChain(options: RunOptions, env: readonly string[], context: StructureContext): Chain {
  const { engine, signal } = context;
  const images: string[] = [];
  const execute = async (command: readonly string[], keep: boolean): Promise<Ran> => {
    const image = images.at(-1) ?? context.image.reference;
    const output = createOutput();
    const spec = toRunSpec(image, command, { options, env, context });
    try {
      const handle = await engine.containers.run(spec, { signal, ...output.take });
      try {
        const ended = await withLimit(handle.ended, () => handle.stop(0));
        signal?.throwIfAborted();
        if (ended === undefined)
          return { problem: `${command.join(' ')}: did not end within ${LIMIT / 60_000} minutes` };
        if (keep) images.push(await engine.containers.commit(handle.id, { signal }));
        return { exitCode: exitCodeOf(ended), ...output.texts() };
      } finally {
        await engine.containers.remove(handle.id, { force: true, volumes: true });
      }
    } catch (error) {
      signal?.throwIfAborted();
      // A program that is not there, a user that nobody knows: the image's fault, and the test's answer.
      if (isEngineError(error)) return { problem: messageOf(error) };
      throw error;
    }
  };
  return {
    run: (command) => execute(command, false),
    runAndKeep: (command) => execute(command, true),
    dispose: async () => {
      for (const image of images.toReversed())
        await engine.images.remove(image, { force: true }).catch(() => undefined);
    },
  };
}

function toRunSpec(
  image: string,
  command: readonly string[],
  {
    options,
    env,
    context,
  }: { readonly options: RunOptions; readonly env: readonly string[]; readonly context: StructureContext },
): RunSpec {
  return {
    image,
    pull: 'never',
    // Given, even though empty: the image's is not run.
    entrypoint: [],
    command,
    env: [...options.env, ...env],
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.privileged ? { privileged: true } : {}),
    ...(options.tty ? { tty: { rows: 24, columns: 80 } } : {}),
    capAdd: options.capAdd,
    capDrop: options.capDrop,
    mounts: options.mounts,
    limits: context.limits,
    network: options.network ?? (context.network === 'egress' ? 'bridge' : 'private'),
  };
}

/** The end, or undefined when it had to be brought about. */
async function withLimit(ended: Promise<Ended>, stop: () => Promise<unknown>): Promise<Ended | undefined> {
  const timer = new AbortController();
  const late = delay(LIMIT, 'late' as const, { signal: timer.signal, ref: false }).catch(() => 'late' as const);
  const first = await Promise.race([ended, late]);
  timer.abort();
  if (first !== 'late') return first;
  await stop();
  return undefined;
}

function createOutput(): {
  readonly take: { readonly onStdout: (chunk: Uint8Array) => void; readonly onStderr: (chunk: Uint8Array) => void };
  texts(): { readonly stdout: string; readonly stderr: string };
} {
  const kept = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const room = { stdout: MAX_OUTPUT, stderr: MAX_OUTPUT };
  const take = (stream: 'stdout' | 'stderr') => (chunk: Uint8Array) => {
    if (room[stream] > 0) kept[stream].push(Uint8Array.from(chunk.subarray(0, room[stream])));
    room[stream] -= chunk.length;
  };
  const text = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString('utf8');
  return {
    take: { onStdout: take('stdout'), onStderr: take('stderr') },
    texts: () => ({ stdout: text(kept.stdout), stderr: text(kept.stderr) }),
  };
}

/** As a shell tells the end by a signal. */
function exitCodeOf({ exitCode, signal }: Ended): number {
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1];
  return number === undefined ? (exitCode ?? 128) : 128 + number;
}

import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { isEngineError, messageOf, type Ended, type RunSpec } from '../../../engine/index.ts';
import { causeOf } from '../ended.ts';
import type { Check } from '../report.ts';
import type { Mask } from '../text.ts';
import { cut, rowOf, withVariables, type StructureContext } from './context.ts';
import { expand } from './expand.ts';
import { textProblems } from './file-tests.ts';
import type { GoRegex } from './go-regex.ts';
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
  const { mask } = context;
  const notes: string[] = [];
  let problems: readonly string[] = [];
  let log: readonly string[] = [];
  try {
    for (const command of test.setup) {
      const ran = await chain.runAndKeep(command);
      const note = noteOf('setup', command, ran, mask);
      // On an image that lacks what the setup makes, an answer would say nothing.
      if ('problem' in ran) return failed(test, { problems: note, milliseconds: performance.now() - start }, context);
      notes.push(...note);
    }
    const ran = await (test.teardown.length > 0 ? chain.runAndKeep : chain.run)(
      test.command.map((word) => expand(word, env)),
    );
    problems = problemsOf(test, ran, mask);
    log = 'problem' in ran ? [] : [...linesOf(ran.stdout, ran.isCut.stdout), ...linesOf(ran.stderr, ran.isCut.stderr)];
    for (const command of test.teardown) notes.push(...noteOf('teardown', command, await chain.run(command), mask));
  } finally {
    await chain.dispose();
  }
  const milliseconds = performance.now() - start;
  if (problems.length > 0)
    return withCause(failed(test, { problems: [...problems, ...notes], milliseconds }, context), log, context);
  const summary = `${cut(test.command.join(' '), 100, mask)} → ${test.exitCode}`;
  const row = rowOf(nameOf(test), [], { ...context, location: test.location, summary, milliseconds });
  // The tool says nothing of a setup that fails; it is no reason to call a test red that passes.
  return notes.length === 0 ? row : { ...row, status: 'warning', summary: notes.join('; ') };
}

function nameOf({ name }: CommandTest): string {
  return `command test: ${name}`;
}

function failed(
  test: CommandTest,
  { problems, milliseconds }: { readonly problems: readonly string[]; readonly milliseconds: number },
  context: StructureContext,
): Check {
  return rowOf(nameOf(test), problems, { ...context, location: test.location, milliseconds });
}

type Ran =
  | {
      readonly exitCode: number;
      readonly stdout: string;
      readonly stderr: string;
      /** More came than is kept. */
      readonly isCut: { readonly stdout: boolean; readonly stderr: boolean };
    }
  | { readonly problem: string };

function problemsOf(test: CommandTest, ran: Ran, mask: Mask): readonly string[] {
  if ('problem' in ran) return [ran.problem];
  const { expectedOutput, excludedOutput, expectedError, excludedError, exitCode } = test;
  const error = { expected: expectedError, excluded: excludedError };
  const output = { expected: expectedOutput, excluded: excludedOutput };
  return [
    ...textProblems('error', ran.stderr, error, mask),
    ...cutProblems('error', ran.isCut.stderr, error),
    ...textProblems('output', ran.stdout, output, mask),
    ...cutProblems('output', ran.isCut.stdout, output),
    ...(ran.exitCode === exitCode ? [] : [`exit code: wanted ${exitCode}, got ${ran.exitCode}`]),
  ];
}

/** What was not kept may hold what is excluded, and it moves the end that `$` stands for. */
function cutProblems(
  what: string,
  isCut: boolean,
  { expected, excluded }: { readonly expected: readonly GoRegex[]; readonly excluded: readonly GoRegex[] },
): readonly string[] {
  if (!isCut || expected.length + excluded.length === 0) return [];
  return [`${what}: it is longer than ${MAX_OUTPUT >> 20} MiB, and its patterns were looked for in the beginning only`];
}

/** That a command beside the one under test went wrong, with its last words. */
function noteOf(when: 'setup' | 'teardown', command: readonly string[], ran: Ran, mask: Mask): readonly string[] {
  const what = `${when}: ${cut(command.join(' '), 100, mask)}`;
  if ('problem' in ran) return [`${what}: ${mask(ran.problem)}`];
  if (ran.exitCode === 0) return [];
  const last = linesOf(ran.stderr, ran.isCut.stderr).at(-1) ?? '';
  return [`${what} exited with ${ran.exitCode}${last === '' ? '' : `: ${cut(last, 300, mask)}`}`];
}

/** Lines that are not empty. The last one of a text that was cut may be half a secret, which no mask finds. */
function linesOf(text: string, isCut: boolean): readonly string[] {
  const lines = text.trimEnd().split('\n');
  return (isCut ? lines.slice(0, -1) : lines).filter((line) => line !== '');
}

/** What the command said, and what its words tell of the cause. */
function withCause(row: Check, log: readonly string[], { mask }: StructureContext): Check {
  const cause = causeOf(undefined, log.join('\n'));
  const failure = row.failure && { ...row.failure, log: log.slice(-50).map((line) => cut(line, 4096, mask)) };
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
    // The tool hands these to the container last: they win over the image's and the test's.
    env: [...env, ...options.env],
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
  texts(): {
    readonly stdout: string;
    readonly stderr: string;
    readonly isCut: { readonly stdout: boolean; readonly stderr: boolean };
  };
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
    texts: () => ({
      stdout: text(kept.stdout),
      stderr: text(kept.stderr),
      isCut: { stdout: room.stdout < 0, stderr: room.stderr < 0 },
    }),
  };
}

/** As a shell tells the end by a signal. */
function exitCodeOf({ exitCode, signal }: Ended): number {
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1];
  return number === undefined ? (exitCode ?? 128) : 128 + number;
}

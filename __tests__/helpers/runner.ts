import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chown, lchown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** What a workflow's step and its job say. */
export interface StepOptions {
  readonly with?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Event payload. */
  readonly event?: unknown;
  readonly eventName?: string;
  readonly ref?: string;
  readonly refType?: string;
  readonly repository?: string;
  readonly runId?: string;
  readonly debug?: boolean;
  /** For post: what the main of the same step has left; default is the last main's. */
  readonly state?: Readonly<Record<string, string>>;
  /** Secrets that the runner knows from the start. */
  readonly secrets?: readonly string[];
}

/** An annotation that the runner took. */
export interface RunnerAnnotation {
  readonly kind: string;
  readonly message: string;
  readonly properties: Readonly<Record<string, string>>;
}

/** What the runner knows after a step. */
export interface StepResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly outputs: Readonly<Record<string, string>>;
  readonly state: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly path: readonly string[];
  readonly annotations: readonly RunnerAnnotation[];
  readonly masks: readonly string[];
  readonly summary: string;
  /** Lines as the runner shows them: commands gone, secrets as `***`. */
  readonly log: string;
  /** Every byte that the process printed. */
  readonly raw: string;
  /** Commands that were obeyed, but for masks. */
  readonly obeyed: readonly string[];
}

/** A step that is running. */
export interface RunningStep {
  readonly result: Promise<StepResult>;
  /** As when the machine takes it away: SIGKILL to the program alone. */
  kill(): void;
  /** As the runner cancels: SIGINT at once, SIGTERM after 7.5 s, SIGKILL after 10 s. Resolves with the milliseconds to the end. */
  cancel(): Promise<number>;
  /** Resolves when the raw log matches. */
  seen(pattern: RegExp): Promise<void>;
}

/** A job on this runner: its folders stay until `close`. */
export interface Job {
  readonly workspace: string;
  readonly temp: string;
  readonly toolCache: string;
  start(stage: 'main' | 'post', options?: StepOptions): RunningStep;
  /** Main, then nothing. */
  main(options?: StepOptions): Promise<StepResult>;
  /** Post with the state of the last main. */
  post(options?: StepOptions): Promise<StepResult>;
  /** Empties RUNNER_TEMP, as the runner does between jobs. */
  nextJob(): Promise<void>;
  close(): Promise<void>;
}

const SCRIPT = resolve(import.meta.dirname, '../../dist/action/index.js');
const COMMANDS = [
  'set-output',
  'save-state',
  'add-mask',
  'set-env',
  'add-path',
  'error',
  'warning',
  'notice',
  'debug',
  'group',
  'endgroup',
  'echo',
  'add-matcher',
  'remove-matcher',
  'stop-commands',
];

/** Who runs the steps; by default the user of the tests. */
export interface RunnerUser {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface JobOptions {
  readonly script?: string;
  /** Wants root. */
  readonly as?: RunnerUser;
  /** A program with its arguments that starts each step, such as one that watches it. */
  readonly through?: readonly string[];
}

/** Makes the folders of a job; steps run on the Node of the tests, which is the Action's. `script` is what `main` and `post` of the action's file name. */
export async function createJob({ script = SCRIPT, as, through = [] }: JobOptions = {}): Promise<Job> {
  const root = await mkdtemp(join(tmpdir(), 'berth-runner-'));
  const [workspace, temp, toolCache] = [join(root, '_work/app/app'), join(root, '_work/_temp'), join(root, '_tool')];
  for (const folder of [workspace, temp, toolCache]) await mkdir(folder, { recursive: true });
  await give(root, as);
  let state: Readonly<Record<string, string>> = {};
  const start = (stage: 'main' | 'post', options: StepOptions = {}): RunningStep => {
    const step = startStep(
      { script, as, through, workspace, temp, toolCache, state: stage === 'post' ? (options.state ?? state) : {} },
      options,
    );
    const result = step.result.then((ended) => {
      if (stage === 'main') state = ended.state;
      return ended;
    });
    return { ...step, result };
  };
  return {
    workspace,
    temp,
    toolCache,
    start,
    main: (options) => start('main', options).result,
    post: (options) => start('post', options).result,
    nextJob: async () => {
      await rm(temp, { recursive: true, force: true });
      await mkdir(temp, { recursive: true });
      await give(temp, as);
    },
    close: () => rm(root, { recursive: true, force: true }),
  };
}

interface Place {
  readonly script: string;
  readonly as: RunnerUser | undefined;
  readonly through: readonly string[];
  readonly workspace: string;
  readonly temp: string;
  readonly toolCache: string;
  readonly state: Readonly<Record<string, string>>;
}

function startStep(place: Place, options: StepOptions): RunningStep {
  const manager = createCommandManager(options.secrets ?? []);
  const watchers = new Set<() => void>();
  let raw = '';
  let child: ChildProcess | undefined;
  let startedAt: () => void = () => undefined;
  const started = new Promise<void>((ready) => (startedAt = ready));

  const run = async (): Promise<StepResult> => {
    const files = await createFiles(place, options.event);
    const env = environmentOf(place, options, files);
    const [program = process.execPath, ...words] = [...place.through, process.execPath, place.script];
    const running = spawn(program, words, {
      cwd: place.workspace,
      ...(place.as ? { uid: place.as.uid, gid: place.as.gid } : {}),
      env: place.as ? { ...env, HOME: place.as.home } : env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = running;
    startedAt();
    // The runner reads each stream by itself, line by line, and obeys commands from both.
    for (const stream of [running.stdout, running.stderr]) {
      const lines = createLines((line) => manager.take(line));
      stream.on('data', (chunk: Buffer) => {
        raw += chunk.toString('utf8');
        lines.add(chunk.toString('utf8'));
        for (const watch of watchers) watch();
      });
      stream.on('end', () => lines.end());
    }
    const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((done) =>
      running.on('close', (...ended) => done(ended)),
    );
    for (const watch of watchers) watch();
    return { exitCode, signal, ...(await manager.finish(files)), raw };
  };
  const result = run();
  return {
    result,
    kill: () => void child?.kill('SIGKILL'),
    cancel: async () => {
      await started;
      const begun = performance.now();
      child?.kill('SIGINT');
      const timers = [setTimeout(() => child?.kill('SIGTERM'), 7500), setTimeout(() => child?.kill('SIGKILL'), 10_000)];
      await result;
      timers.forEach(clearTimeout);
      return performance.now() - begun;
    },
    seen: (pattern) =>
      new Promise<void>((found, missed) => {
        const look = (): void => {
          if (!pattern.test(raw)) return;
          watchers.delete(look);
          found();
        };
        watchers.add(look);
        look();
        result.then(() => missed(new Error(`The step ended without ${String(pattern)}`)), missed);
      }),
  };
}

/** Everything below a folder belongs to the user of the steps. */
async function give(folder: string, as: RunnerUser | undefined): Promise<void> {
  if (!as) return;
  await chown(folder, as.uid, as.gid);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    await lchown(join(entry.parentPath, entry.name), as.uid, as.gid);
  }
}

interface CommandFiles {
  readonly output: string;
  readonly state: string;
  readonly env: string;
  readonly path: string;
  readonly summary: string;
  readonly event: string;
}

async function createFiles({ temp, workspace, as }: Place, event: unknown): Promise<CommandFiles> {
  const folder = join(temp, '_runner_file_commands');
  await mkdir(folder, { recursive: true });
  const file = async (prefix: string, content = ''): Promise<string> => {
    const path = join(folder, `${prefix}_${randomUUID()}`);
    await writeFile(path, content);
    return path;
  };
  const files = {
    output: await file('set_output'),
    state: await file('save_state'),
    env: await file('set_env'),
    path: await file('add_path'),
    summary: await file('step_summary'),
    event: await file('event', JSON.stringify(event ?? {})),
  };
  for (const owned of [folder, workspace]) await give(owned, as);
  return files;
}

function environmentOf(place: Place, options: StepOptions, files: CommandFiles): NodeJS.ProcessEnv {
  const inputs = Object.entries(options.with ?? {}).map(([name, value]) => [
    `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`,
    value,
  ]);
  const states = Object.entries(place.state).map(([name, value]) => [`STATE_${name}`, value]);
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    GITHUB_ACTIONS: 'true',
    CI: 'true',
    GITHUB_WORKSPACE: place.workspace,
    GITHUB_REPOSITORY: options.repository ?? 'octo/app',
    GITHUB_REPOSITORY_ID: '1',
    GITHUB_EVENT_NAME: options.eventName ?? 'push',
    GITHUB_EVENT_PATH: files.event,
    GITHUB_REF: options.ref ?? 'refs/heads/main',
    GITHUB_REF_TYPE: options.refType ?? 'branch',
    GITHUB_RUN_ID: options.runId ?? '1001',
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_SHA: 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00',
    GITHUB_OUTPUT: files.output,
    GITHUB_STATE: files.state,
    GITHUB_ENV: files.env,
    GITHUB_PATH: files.path,
    GITHUB_STEP_SUMMARY: files.summary,
    RUNNER_TEMP: place.temp,
    RUNNER_TOOL_CACHE: place.toolCache,
    RUNNER_OS: 'Linux',
    ...(options.debug ? { RUNNER_DEBUG: '1' } : {}),
    ...options.env,
    ...(Object.fromEntries([...inputs, ...states]) as Record<string, string>),
  };
}

/** Lines as .NET's StreamReader cuts them: LF, CR and CRLF each end one. */
function createLines(take: (line: string) => void): { add(text: string): void; end(): void } {
  let rest = '';
  return {
    add: (text) => {
      const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      lines.forEach(take);
    },
    end: () => {
      if (rest !== '') take(rest.replace(/\r$/, ''));
    },
  };
}

interface Command {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly data: string;
}

/** The runner's command manager. Source: actions/runner, ActionCommandManager.cs. */
function createCommandManager(known: readonly string[]): {
  take(line: string): void;
  finish(files: CommandFiles): Promise<Omit<StepResult, 'exitCode' | 'signal' | 'raw'>>;
} {
  const masks: string[] = [...known];
  const lines: string[] = [];
  const obeyed: string[] = [];
  const annotations: RunnerAnnotation[] = [];
  const outputs: Record<string, string> = {};
  const state: Record<string, string> = {};
  const registered = new Set(COMMANDS);
  let stopToken: string | undefined;

  const mask = (text: string): string =>
    [...masks].sort((a, b) => b.length - a.length).reduce((clean, value) => clean.replaceAll(value, '***'), text);
  const show = (text: string): void => void lines.push(mask(text));
  const take = (line: string): void => {
    const command = parseCommand(line, registered);
    if (!command) return show(line);
    if (stopToken !== undefined) {
      if (command.name.toLowerCase() !== stopToken.toLowerCase()) return show(line);
      registered.delete(stopToken);
      stopToken = undefined;
      return;
    }
    if (command.name === 'stop-commands') {
      stopToken = command.data;
      registered.add(stopToken);
      return;
    }
    obey(command);
  };
  const obey = ({ name, properties, data }: Command): void => {
    if (name !== 'add-mask') obeyed.push(`${name} ${properties['name'] ?? ''}`.trim());
    if (name === 'set-output') outputs[properties['name'] ?? ''] = data;
    else if (name === 'save-state') state[properties['name'] ?? ''] = data;
    else if (name === 'add-mask') {
      masks.push(data);
      // The masker also takes each line of a value of several lines.
      masks.push(...data.split(/\r?\n/).filter((part) => part.trim() !== ''));
    } else if (['error', 'warning', 'notice'].includes(name)) {
      annotations.push({ kind: name, message: mask(data), properties });
      show(`##[${name}]${data}`);
    } else if (name === 'set-env' || name === 'add-path') {
      annotations.push({ kind: 'error', message: `The \`${name}\` command is disabled`, properties: {} });
    } else if (name !== 'debug' && name !== 'echo') show(`##[${name}]${data}`);
  };
  return {
    take,
    finish: async (files) => ({
      outputs: { ...outputs, ...(await readPairs(files.output)) },
      state: { ...state, ...(await readPairs(files.state)) },
      env: await readPairs(files.env),
      path: (await readFile(files.path, 'utf8')).split('\n').filter((line) => line !== ''),
      summary: mask(await readFile(files.summary, 'utf8')),
      annotations,
      masks,
      log: lines.join('\n'),
      obeyed,
    }),
  };
}

/** Source: actions/runner, ActionCommand.cs. Its string comparison passes over characters that the culture ignores, so we do. */
export function parseCommand(line: string, registered: ReadonlySet<string>): Command | undefined {
  const text = line.replace(/[\p{C}\p{Default_Ignorable_Code_Point}]/gu, (c) => (c === '\t' ? c : ''));
  return parseV2(text, registered) ?? parseV1(text, registered);
}

function parseV2(line: string, registered: ReadonlySet<string>): Command | undefined {
  const message = line.replace(/^[\s\p{Z}]+/u, '');
  const end = message.startsWith('::') ? message.indexOf('::', 2) : -1;
  if (end < 0) return undefined;
  return toCommand(message.slice(2, end), message.slice(end + 2), ',', registered, unescapeV2);
}

function parseV1(line: string, registered: ReadonlySet<string>): Command | undefined {
  const start = line.indexOf('##[');
  const end = start < 0 ? -1 : line.indexOf(']', start);
  if (end < 0) return undefined;
  return toCommand(line.slice(start + 3, end), line.slice(end + 1), ';', registered, unescapeV1);
}

function toCommand(
  info: string,
  data: string,
  separator: string,
  registered: ReadonlySet<string>,
  unescape: (text: string) => string,
): Command | undefined {
  const space = info.indexOf(' ');
  const name = space < 0 ? info : info.slice(0, space);
  const known = [...registered].find((command) => command.toLowerCase() === name.toLowerCase());
  if (known === undefined) return undefined;
  const pairs = (space < 0 ? '' : info.slice(space + 1))
    .split(separator)
    .map((pair) => pair.trim().split(/=(.*)/s))
    .filter((pair) => pair.length > 1);
  const properties = Object.fromEntries(pairs.map(([key = '', value = '']) => [key, unescape(value)]));
  return { name: known, properties, data: unescape(data) };
}

function unescapeV2(text: string): string {
  return text
    .replaceAll('%0D', '\r')
    .replaceAll('%0A', '\n')
    .replaceAll('%3A', ':')
    .replaceAll('%2C', ',')
    .replaceAll('%25', '%');
}

function unescapeV1(text: string): string {
  return text
    .replaceAll('%3B', ';')
    .replaceAll('%0D', '\r')
    .replaceAll('%0A', '\n')
    .replaceAll('%5D', ']')
    .replaceAll('%25', '%');
}

/** `NAME=value` and `NAME<<DELIMITER` as the runner reads its files. Source: actions/runner, FileCommandManager.cs. */
async function readPairs(path: string): Promise<Readonly<Record<string, string>>> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  const pairs: Record<string, string> = {};
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    const here = /^([^=]*?)<<(.+)$/.exec(line);
    if (here) {
      const value: string[] = [];
      for (let next = lines.shift(); next !== here[2]; next = lines.shift()) {
        if (next === undefined) throw new Error(`Matching delimiter not found '${here[2] ?? ''}'`);
        value.push(next);
      }
      pairs[here[1] ?? ''] = value.join('\n');
    } else if (line.includes('=')) pairs[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1);
    else if (line !== '') throw new Error(`Invalid format '${line}'`);
  }
  return pairs;
}

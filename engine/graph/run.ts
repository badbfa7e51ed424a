import { posix } from 'node:path';
import { chomp, parseHeredoc, SyntaxMistake, type RunInstruction } from '../dockerfile/index.ts';
import type { Conversion } from './conversion.ts';
import { entriesOf } from './env.ts';
import { withShell } from './shell.ts';
import type { StageState } from './state.ts';
import type { ExecMount, ExecOp, ScriptMount } from './types.ts';

/** RUN as operation: what BuildKit's ExecOp has of it (spec/engine.md 4a.3). */
export function execOp(
  { options, proxyEnv }: Pick<Conversion, 'options' | 'proxyEnv'>,
  state: StageState,
  run: RunInstruction,
  flagged: readonly ExecMount[],
): ExecOp {
  if (!run.shellForm && run.command.length === 0) {
    throw new SyntaxMistake(
      'argument-count',
      'RUN has no command',
      'Write RUN command, or RUN ["program", "argument"]',
    );
  }
  const script = scriptOf(run);
  const command = script ? [script.target] : withDocuments(run);
  const network = networkOf(run, options);
  const mounts = [...flagged, ...(script ? [script] : []), ...sharedMemory(options.shmSize)];
  return {
    type: 'exec',
    args: run.shellForm ? withShell(state.config, command) : command,
    env: withAgent(entriesOf(state.env), mounts),
    cwd: state.workdir,
    user: state.config.User ?? '',
    proxyEnv,
    ...(mounts.length > 0 ? { mounts } : {}),
    ...(network === undefined || network === 'default' ? {} : { network }),
    ...(options.extraHosts && options.extraHosts.length > 0 ? { extraHosts: options.extraHosts } : {}),
    ...(options.ulimits && options.ulimits.length > 0 ? { ulimits: options.ulimits } : {}),
    ...hostnameOf(options.buildArgs),
  };
}

/**
 * As BuildKit's entitlement `network.host`: a Dockerfile alone does not reach what listens on the machine that builds it.
 *
 * @throws SyntaxMistake for `--network=host` without leave
 */
function networkOf({ network }: RunInstruction, options: Conversion['options']): Conversion['options']['network'] {
  if (network === 'default') return options.network;
  if (network !== 'host' || options.network === 'host' || options.allowHostNetwork) return network;
  throw new SyntaxMistake(
    'bad-value',
    'RUN --network=host needs leave: network.host is not allowed',
    'Build with --allow network.host, or the input `allow: network.host`',
  );
}

/** Build argument of BuildKit's that names the machine which a RUN sees. */
const HOSTNAME = 'BUILDKIT_SANDBOX_HOSTNAME';

/** @throws SyntaxMistake for what is no name of a host */
function hostnameOf(buildArgs: Readonly<Record<string, string>> = {}): Pick<ExecOp, 'hostname'> {
  const hostname = Object.hasOwn(buildArgs, HOSTNAME) ? buildArgs[HOSTNAME] : undefined;
  if (!hostname) return {};
  if (/^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$/i.test(hostname)) return { hostname };
  throw new SyntaxMistake(
    'bad-value',
    `${HOSTNAME}="${hostname}" is no name of a host`,
    'Use letters, digits, - and .',
  );
}

/** `RUN |1 A=b /bin/sh -c command # buildkit`: the line of a RUN in the history. */
export function runHistory(state: StageState, { args }: ExecOp): string {
  const values = new Map(state.args.map(({ key, value }) => [key, state.env.get(key) ?? value ?? '']));
  const shown = [...values].map(([key, value]) => `${key}=${value}`);
  return ['RUN', ...(shown.length > 0 ? [`|${shown.length}`, ...shown] : []), ...args, '# buildkit'].join(' ');
}

/** A here-document alone that begins with `#!` is a program: it is mounted, and the shell starts it. */
function scriptOf({ command, files }: RunInstruction): ScriptMount | undefined {
  const [document] = files;
  if (!document?.data.startsWith('#!') || !parseHeredoc(command[0] ?? '')) return undefined;
  const content = document.chomp ? chomp(document.data) : document.data;
  return { type: 'script', target: posix.join(SCRIPTS, document.name), content };
}

/** Where BuildKit puts them: it is in the key and in the history. */
const SCRIPTS = '/dev/pipes';

/** `--shm-size`: BuildKit mounts it too. */
function sharedMemory(size: number | undefined): readonly ExecMount[] {
  return size === undefined ? [] : [{ type: 'tmpfs', target: '/dev/shm', size, readonly: false }];
}

/** Tells ssh where its agent is, unless the Dockerfile does. */
function withAgent(env: readonly string[], mounts: readonly ExecMount[]): readonly string[] {
  const agent = mounts.find(({ type }) => type === 'ssh');
  if (!agent?.target || env.some((entry) => entry.startsWith('SSH_AUTH_SOCK='))) return env;
  return [...env, `SSH_AUTH_SOCK=${agent.target}`];
}

/**
 * The command with its here-documents. When it is nothing but one document the shell gets its text, so that shells without here-documents
 * work too; else the shell reads them itself.
 */
function withDocuments({ command, files }: RunInstruction): readonly string[] {
  const [line = ''] = command;
  const [first] = files;
  if (!first) return command;
  if (parseHeredoc(line)) return [first.chomp ? chomp(first.data) : first.data];
  return [line + files.map(({ name, data }) => `\n${data}${name}`).join('')];
}

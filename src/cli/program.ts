import { suggest } from '../../engine/index.ts';
import type { AnyCommand } from './command.ts';
import { COMMANDS, GROUPS, REFUSED_COMMANDS } from './commands.ts';
import type { Context } from './context.ts';
import { text, toggle } from './flags.ts';
import { listHelp, type Row } from './help.ts';
import { insteadOf } from './instead.ts';
import { parseWords } from './normalize.ts';
import type { Writer } from './output.ts';
import { OperandsError, UsageError } from './usage-error.ts';
import { version } from './version.ts';

/** Flags before the command; Docker's others are for the daemon that berth does not have. */
export const GLOBAL_FLAGS = {
  config: text('--config FOLDER', 'folder of the Docker configuration that credentials are read from'),
  help: toggle('-h, --help', 'print this help'),
  version: toggle('-v, --version', 'print the version'),
} as const;
/** Docker's flags before the command that are refused by name. */
export const REFUSED_GLOBAL_FLAGS = 'H host c context D debug l log-level tls tlscacert tlscert tlskey tlsverify'.split(
  ' ',
);

/** Finds the command that the words name and runs it; gives its exit code. */
export async function createProgram(context: Context): Promise<number> {
  const { given, operands } = parseWords(context.argv, {
    flags: GLOBAL_FLAGS,
    refused: REFUSED_GLOBAL_FLAGS,
    passThrough: true,
    command: '',
  });
  const [first, ...words] = operands;
  if (given.has('version')) return printTo(context.stdout, `berth ${version()}\n`);
  if (given.has('help') || (first === 'help' && words.length === 0))
    return printTo(context.stdout, programHelp(context));
  if (first === undefined) return printTo(context.stderr, programHelp(context));
  if (first === 'help') return await createProgram(changed(context, { argv: [...words, '--help'] }));
  const folder = given.get('config')?.at(-1);
  const inner =
    folder === undefined ? context : changed(context, { configFolder: folder, engine: withConfig(context, folder) });
  const group = Object.hasOwn(GROUPS, first) ? GROUPS[first] : undefined;
  if (group) return await runGroup(inner, first, group, words);
  const command = COMMANDS.find(({ name }) => name === first);
  if (command) return await command.run(inner, first, words);
  throw unknown(first, first, [...COMMANDS.map(({ name }) => name), ...Object.keys(GROUPS)]);
}

/** The context with some parts replaced; the working directory is still only looked for by who needs it. */
function changed(context: Context, changes: Partial<Context>): Context {
  // Type: all properties of a Context, some with other values.
  return Object.defineProperties(
    {},
    {
      ...Object.getOwnPropertyDescriptors(context),
      ...Object.getOwnPropertyDescriptors(changes),
    },
  ) as Context;
}

/** `--config` counts as DOCKER_CONFIG does. */
function withConfig(context: Context, configFolder: string): Context['engine'] {
  return async (overrides = {}) => await context.engine({ ...overrides, configFolder });
}

async function runGroup(
  context: Context,
  name: string,
  group: (typeof GROUPS)[string],
  [second, ...words]: readonly string[],
): Promise<number> {
  if (second === undefined || second === '--help' || second === '-h') {
    const rows = Object.entries(group.commands).map(([word, { docs }]): Row => [word, docs]);
    const more = `Run 'berth ${name} COMMAND --help' for more information on a command.`;
    const help = listHelp({ usage: `berth ${name} COMMAND`, docs: group.docs, more }, { Commands: rows }, context);
    return printTo(second === undefined ? context.stderr : context.stdout, help);
  }
  const command = Object.hasOwn(group.commands, second) ? group.commands[second] : undefined;
  if (command) return await command.run(context, `${name} ${second}`, words);
  throw unknown(`${name} ${second}`, second, Object.keys(group.commands));
}

/** Docker's commands that are not there are named, with what to type instead; a wrong word gets the nearest right one. */
function unknown(path: string, word: string, names: readonly string[]): UsageError {
  if (REFUSED_COMMANDS.has(path))
    return new UsageError(`Cannot use "berth ${path}": not supported yet`, insteadOf(path));
  const near = suggest(word, names);
  const isFlag = word.startsWith('-');
  const Mistake = isFlag ? UsageError : OperandsError;
  return new Mistake(
    `unknown ${isFlag ? 'flag' : 'command'}: ${path === word ? '' : 'berth '}${path}`,
    near ? `did you mean ${near}?` : 'berth --help lists them',
  );
}

function programHelp(context: Context): string {
  const rowOf = ({ name, docs }: AnyCommand): Row => [name, docs];
  const groups = Object.entries(GROUPS).map(([name, { docs }]): Row => [name, docs]);
  const flags = Object.values(GLOBAL_FLAGS).map((flag): Row => {
    const { long, docs } = flag;
    const short = 'short' in flag && flag.short ? `-${flag.short}, ` : '    ';
    return [`${short}--${long}${'value' in flag && flag.value ? ` ${flag.value}` : ''}`, docs];
  });
  return listHelp(
    {
      usage: 'berth [OPTIONS] COMMAND',
      docs: 'Build, run, test and push container images without a daemon',
      more: "Run 'berth COMMAND --help' for more information on a command.",
    },
    { Commands: COMMANDS.map(rowOf), 'Management commands': groups, 'Global options': flags },
    context,
  );
}

function printTo(stream: Writer, text: string): number {
  stream.write(text);
  return 0;
}

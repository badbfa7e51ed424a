import { Command, CommanderError } from 'commander';
import { suggest } from '../../engine/index.ts';
import type { AnyCommand } from './command.ts';
import { COMMANDS, GROUPS, REFUSED_COMMANDS } from './commands.ts';
import type { Context } from './context.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

/** Finds the command that the words name and runs it; gives its exit code. */
export async function createProgram(context: Context): Promise<number> {
  const [first = '', second = ''] = context.argv;
  refuse(first, second);
  let exitCode = 0;
  const done = (code: number): void => void (exitCode = code);
  const program = new Command('berth')
    .description('Build, run, test and push container images without a daemon')
    .usage('COMMAND')
    .version(`berth ${version()}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help');
  configure(program, context);
  for (const command of COMMANDS) command.register(program, context, done);
  for (const [name, { docs, commands }] of Object.entries(GROUPS)) {
    const group = configure(new Command(name).description(docs), context);
    for (const [word, command] of Object.entries<AnyCommand>(commands)) command.register(group, context, done, word);
    program.addCommand(group);
  }
  try {
    await program.parseAsync([...context.argv], { from: 'user' });
  } catch (error) {
    return settle(error, first, second);
  }
  return exitCode;
}

/** Docker's commands that are not there yet are named; a wrong word gets the nearest right one. */
function refuse(first: string, second: string): void {
  const word = first in GROUPS ? `${first} ${second}` : first;
  if (REFUSED_COMMANDS.has(word))
    throw new UsageError(`Cannot use "berth ${word}": not supported yet`, 'berth --help lists what is');
}

function configure(command: Command, context: Context): Command {
  return command
    .enablePositionalOptions()
    .exitOverride()
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      // Errors come as exceptions; help for a missing command is all that is left.
      writeErr: (text) => (text.startsWith('Usage:') ? context.stderr.write(text) : undefined),
      getOutHelpWidth: () => context.stdout.columns,
      getErrHelpWidth: () => context.stderr.columns,
    });
}

function settle(error: unknown, first: string, second: string): number {
  if (!(error instanceof CommanderError)) throw error;
  if (error.code === 'commander.version' || error.code === 'commander.helpDisplayed') return 0;
  if (error.code === 'commander.help') return 1;
  const group = GROUPS[first];
  const [word, names] = group
    ? [second, Object.keys(group.commands)]
    : [first, [...COMMANDS.map(({ name }) => name), ...Object.keys(GROUPS)]];
  const near = suggest(word, names);
  const what = word.startsWith('-') ? 'flag' : 'command';
  throw new UsageError(
    `unknown ${what}: ${group ? `berth ${first} ` : ''}${word}`,
    near ? `did you mean ${near}?` : 'berth --help lists them',
  );
}

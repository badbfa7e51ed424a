import { Command, Option } from 'commander';
import type { Context } from './context.ts';
import type { Flag, FlagTable, Values } from './flags.ts';
import { parseWords } from './normalize.ts';
import { UsageError } from './usage-error.ts';

/** What a command is, as data. */
export interface CommandDefinition<F extends FlagTable> {
  readonly name: string;
  readonly docs: string;
  /** `IMAGE [COMMAND...]`: words in brackets may be missing, the last one with dots takes the rest. */
  readonly operands: string;
  readonly flags: F;
  /** Flags of Docker's that are not done; they are refused by name. */
  readonly refused?: readonly string[];
  readonly passThrough?: boolean;
  /** Exit code of an error before the container's own: 125 for `run`; 1 when left out. */
  readonly failure?: number;
  /** Does the work; the result is the exit code. */
  readonly run: (context: Context, values: Values<F>, operands: readonly string[]) => Promise<number>;
}

/** A command without its types: what the table of commands holds. */
export interface AnyCommand {
  readonly name: string;
  readonly docs: string;
  /** Adds it to a parser, under its own name or another one. */
  readonly register: (parent: Command, context: Context, done: (exitCode: number) => void, name?: string) => void;
}

/** Makes a command of its definition. Help comes from the same table as parsing. */
export function defineCommand<const F extends FlagTable>(definition: CommandDefinition<F>): AnyCommand {
  return {
    name: definition.name,
    docs: definition.docs,
    register: (parent, context, done, name = definition.name) => {
      const options = Object.values(definition.flags).map(toOption);
      // The words are read by the flag table itself, with Docker's rules; commander finds the command and prints help.
      const command = new Command(name)
        .description(definition.docs)
        .usage(`[OPTIONS] ${definition.operands}`.trimEnd())
        .allowUnknownOption()
        .allowExcessArguments()
        .argument('[words...]')
        .helpOption(false)
        .configureHelp({ visibleOptions: () => options, visibleArguments: () => [] });
      parent.addCommand(command.action(async () => done(await execute(definition, context, command))));
    },
  };
}

async function execute<F extends FlagTable>(
  definition: CommandDefinition<F>,
  context: Context,
  command: Command,
): Promise<number> {
  const words = context.argv.slice(depthOf(command));
  if (asksForHelp(words, definition)) {
    context.stdout.write(command.helpInformation());
    return 0;
  }
  const { flags, refused = [], passThrough = false } = definition;
  const { given, operands } = parseWords(words, { flags, refused, passThrough });
  checkOperands(definition, operands);
  const entries = Object.entries(flags).map(([key, flag]) => [key, flag.parse(given.get(flag.long) ?? [], context)]);
  // Type: each key has the value that its own flag's parser gave.
  const values = Object.fromEntries(entries) as Values<F>;
  try {
    return await definition.run(context, values, operands);
  } catch (error) {
    context.fail(definition.failure ?? 1);
    throw error;
  }
}

/** How many words name the command: 1 for `run`, 2 for `container run`. */
function depthOf(command: Command): number {
  return command.parent ? 1 + depthOf(command.parent) : 0;
}

/** `--help` anywhere among the flags; after the image of `run` it belongs to the command there. */
function asksForHelp(
  words: readonly string[],
  { passThrough, flags }: Pick<CommandDefinition<FlagTable>, 'passThrough' | 'flags'>,
): boolean {
  const valued = new Set(
    Object.values(flags).flatMap(({ value, long, short }) => (value === undefined ? [] : [`--${long}`, `-${short}`])),
  );
  for (const [index, word] of words.entries()) {
    const isValue = valued.has(words[index - 1] ?? '');
    if (word === '--help' && !isValue) return true;
    if (word === '--' || (passThrough && !word.startsWith('-') && !isValue)) return false;
  }
  return false;
}

function checkOperands(
  { name, operands }: Pick<CommandDefinition<FlagTable>, 'name' | 'operands'>,
  given: readonly string[],
): void {
  const words = operands.split(' ').filter(Boolean);
  const required = words.filter((word) => !word.startsWith('[')).length;
  const open = words.some((word) => word.includes('...'));
  const usage = `berth ${name} [OPTIONS] ${operands}`.trimEnd();
  if (given.length < required) {
    throw new UsageError(`"berth ${name}" requires ${open ? 'at least ' : ''}${plural(required)}`, `usage: ${usage}`);
  }
  if (!open && given.length > words.length) {
    const wanted =
      words.length === 0
        ? 'accepts no arguments'
        : `accepts ${required < words.length ? 'at most ' : ''}${plural(words.length)}`;
    throw new UsageError(`"berth ${name}" ${wanted}: got "${given[words.length]}" as well`, `usage: ${usage}`);
  }
}

function plural(number: number): string {
  return `${number} argument${number === 1 ? '' : 's'}`;
}

function toOption({ short, long, value, docs }: Flag<unknown>): Option {
  return new Option(`${short ? `-${short}, ` : ''}--${long}${value === undefined ? '' : ` <${value}>`}`, docs);
}

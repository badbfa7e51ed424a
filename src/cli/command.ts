import type { Context } from './context.ts';
import type { FlagTable, Values } from './flags.ts';
import { helpOf } from './help.ts';
import { parseWords } from './normalize.ts';
import { OperandsError, UsageError } from './usage-error.ts';

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
  /**
   * Flags whose values are looked at while the words are read: a wrong one is a wrong command line, exit code 125. Docker looks at the others' of
   * such a command when it begins to work, and exits with 1. Left out: all.
   */
  readonly readFirst?: readonly (keyof F & string)[];
  /** Exit code of an error before the container's own: 125 for `run`; 1 when left out. */
  readonly failure?: number;
  /** Does the work; the result is the exit code. */
  readonly run: (context: Context, values: Values<F>, operands: readonly string[]) => Promise<number>;
}

/** A command without the types of its values: what the table of commands holds, and help and completions are made from. */
export interface AnyCommand {
  readonly name: string;
  readonly docs: string;
  readonly operands: string;
  readonly flags: FlagTable;
  readonly refused: readonly string[];
  readonly passThrough: boolean;
  /** Runs it with the words after `path` (`run`, `container run`), and gives its exit code. */
  readonly run: (context: Context, path: string, words: readonly string[]) => Promise<number>;
}

/** Makes a command of its definition. Help and completions come from the same table as parsing. */
export function defineCommand<const F extends FlagTable>(definition: CommandDefinition<F>): AnyCommand {
  const { name, docs, operands, flags, refused = [], passThrough = false } = definition;
  const command: AnyCommand = {
    name,
    docs,
    operands,
    flags,
    refused,
    passThrough,
    run: async (context, path, words) => {
      if (!asksForHelp(words, command)) return await execute(definition, context, path, words);
      context.stdout.write(helpOf(command, path, context));
      return 0;
    },
  };
  return command;
}

async function execute<F extends FlagTable>(
  definition: CommandDefinition<F>,
  context: Context,
  path: string,
  words: readonly string[],
): Promise<number> {
  const { flags, refused = [], passThrough = false } = definition;
  const { given, operands } = parseWords(words, { flags, refused, passThrough, command: path });
  checkOperands(path, definition.operands, operands);
  const isFirst = (key: string): boolean => definition.readFirst?.includes(key) ?? true;
  const entries = Object.entries(flags).map(([key, flag]) => {
    const parse = (): unknown => flag.parse(given.get(flag.long) ?? [], context);
    return [key, isFirst(key) ? parse() : later(parse)];
  });
  // Type: each key has the value that its own flag's parser gave.
  const values = Object.fromEntries(entries) as Values<F>;
  try {
    return await definition.run(context, values, operands);
  } catch (error) {
    if (definition.failure !== undefined) context.fail(definition.failure);
    throw error;
  }
}

/** A wrong value that Docker finds after the flags: exit code 1. */
function later<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof UsageError ? new OperandsError(error.message, error.hint) : error;
  }
}

/**
 * `--help` or `-h` anywhere among the flags; after the image of `run` it belongs to the command there, and where `-h` is a flag of its own
 * (`run -h NAME`) it is that.
 */
function asksForHelp(words: readonly string[], { passThrough, flags, refused }: AnyCommand): boolean {
  const all = Object.values(flags);
  const valued = new Set(
    all.flatMap(({ value, long, short }) => (value === undefined ? [] : [`--${long}`, `-${short}`])),
  );
  const taken = refused.includes('h') || all.some(({ short }) => short === 'h');
  for (const [index, word] of words.entries()) {
    const isValue = valued.has(words[index - 1] ?? '');
    if (!isValue && (word === '--help' || (word === '-h' && !taken))) return true;
    if (word === '--' || (passThrough && !word.startsWith('-') && !isValue)) return false;
  }
  return false;
}

function checkOperands(path: string, operands: string, given: readonly string[]): void {
  const words = operands.split(' ').filter(Boolean);
  const required = words.filter((word) => !word.startsWith('[')).length;
  const open = words.some((word) => word.includes('...'));
  const usage = `berth ${path} [OPTIONS] ${operands}`.trimEnd();
  if (given.length < required) {
    throw new OperandsError(
      `"berth ${path}" requires ${open ? 'at least ' : ''}${plural(required)}`,
      `usage: ${usage}`,
    );
  }
  if (!open && given.length > words.length) {
    const wanted =
      words.length === 0
        ? 'accepts no arguments'
        : `accepts ${required < words.length ? 'at most ' : ''}${plural(words.length)}`;
    throw new OperandsError(`"berth ${path}" ${wanted}: got "${given[words.length]}" as well`, `usage: ${usage}`);
  }
}

function plural(number: number): string {
  return `${number} argument${number === 1 ? '' : 's'}`;
}

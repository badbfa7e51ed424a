import { suggest } from '../../engine/index.ts';
import { type Flag, type FlagTable, spelled } from './flags.ts';
import { insteadOf } from './instead.ts';
import { UsageError } from './usage-error.ts';

/** How a command's words are read. */
export interface Grammar {
  readonly flags: FlagTable;
  /** Docker's flags of this command that are not done, by long name; short names as one letter. */
  readonly refused: readonly string[];
  /** Flags stop at the first operand: `run IMAGE COMMAND -x`. */
  readonly passThrough: boolean;
  /** How the command was typed, such as `container run`: what is not done is answered with what to type instead. */
  readonly command: string;
}

const SWITCH = { true: 'true', '1': 'true', t: 'true', false: 'false', '0': 'false', f: 'false' } as const;

/** Words of a command: its flags with their values, in order, and its operands. */
export interface ParsedWords {
  readonly given: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/**
 * Reads a command's words as Docker's command line does: `-it`, `-p80:80`, `--rm=false`, flags after operands, `--`.
 *
 * @throws {UsageError} for a flag that is refused by name, unknown (with what it may have been meant to be) or without its value
 */
export function parseWords(words: readonly string[], grammar: Grammar): ParsedWords {
  const given = new Map<string, string[]>();
  const operands: string[] = [];
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--' || (grammar.passThrough && isOperand(word))) {
      operands.push(...(word === '--' ? [] : [word]), ...rest);
      break;
    }
    if (isOperand(word)) operands.push(word);
    else if (word.startsWith('--')) takeLong(word, rest, grammar, given);
    else takeShort(word, rest, grammar, given);
  }
  return { given, operands };
}

function isOperand(word: string): boolean {
  return !word.startsWith('-') || word === '-';
}

function takeLong(word: string, rest: string[], grammar: Grammar, given: Map<string, string[]>): void {
  const at = word.indexOf('=');
  const name = word.slice(2, at < 0 ? undefined : at);
  const value = at < 0 ? undefined : word.slice(at + 1);
  const flag = Object.values(grammar.flags).find(({ long }) => long === name);
  if (!flag) throw unknown(`--${name}`, name, grammar);
  if (flag.value !== undefined) add(given, flag, value ?? needValue(rest, flag, `--${name}`));
  else add(given, flag, value === undefined ? 'true' : toSwitch(value, flag));
}

function takeShort(word: string, rest: string[], grammar: Grammar, given: Map<string, string[]>): void {
  for (let index = 1; index < word.length; index += 1) {
    const letter = word[index] ?? '';
    const flag = Object.values(grammar.flags).find(({ short }) => short === letter);
    if (!flag) throw unknown(`-${letter}`, letter, grammar, word);
    const tail = word.slice(index + 1);
    if (flag.value === undefined) {
      const assigned = tail.startsWith('=');
      add(given, flag, assigned ? toSwitch(tail.slice(1), flag) : 'true');
      if (assigned) return;
    } else {
      add(given, flag, tail === '' ? needValue(rest, flag, `-${letter}`) : tail.replace(/^=/, ''));
      return;
    }
  }
}

function add(given: Map<string, string[]>, flag: Flag<unknown>, value: string): void {
  given.set(flag.long, [...(given.get(flag.long) ?? []), value]);
}

function needValue(rest: string[], flag: Flag<unknown>, name: string): string {
  const value = rest.shift();
  if (value === undefined) throw new UsageError(`flag needs an argument: ${name} (${spelled(flag)} ${flag.value})`);
  return value;
}

function toSwitch(value: string, flag: Flag<unknown>): string {
  const word = Object.entries(SWITCH).find(([key]) => key === value.toLowerCase())?.[1];
  if (word === undefined)
    throw new UsageError(`invalid argument "${value}" for "${spelled(flag)}" flag: wanted true or false`);
  return word;
}

function unknown(flag: string, name: string, { flags, refused, command }: Grammar, word?: string): UsageError {
  if (refused.includes(name)) return new UsageError(`Cannot use ${flag}: not supported yet`, insteadOf(command, flag));
  if (word !== undefined) return new UsageError(`unknown shorthand flag: '${name}' in ${word}`);
  const near = suggest(
    name,
    Object.values(flags).map(({ long }) => long),
  );
  return new UsageError(`unknown flag: ${flag}`, near ? `did you mean --${near}?` : undefined);
}

import { suggest } from '../../base/suggest.ts';
import { SyntaxMistake } from '../errors.ts';

/** The flags of an instruction: a text, a yes or no, or a text that may be given many times. */
export type FlagTypes = Readonly<Record<string, 'string' | 'bool' | 'list'>>;

/** The flags that were given. */
export interface FlagValues {
  text(name: string): string | undefined;
  bool(name: string): boolean | undefined;
  list(name: string): readonly string[];
  /** Names, sorted. */
  readonly used: readonly string[];
}

/**
 * Types the flag words of an instruction.
 *
 * @throws SyntaxMistake `unknown-flag`, `duplicate-flag`, `flag-without-value`, `flag-not-boolean`
 */
export function readFlags(words: readonly string[], types: FlagTypes): FlagValues {
  const values = new Map<string, readonly string[]>();
  for (const word of words) {
    if (word === '--') break;
    const [name, value] = readFlag(word, types);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  for (const [name, given] of values) {
    if (given.length > 1 && types[name] !== 'list') {
      const hint = `Keep one of ${given.map((value) => `--${name}=${value}`).join(' and ')}`;
      throw new SyntaxMistake('duplicate-flag', `the flag --${name} is given twice`, hint);
    }
  }
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  return {
    text: last,
    bool: (name) => (values.has(name) ? last(name) === 'true' : undefined),
    list: (name) => values.get(name) ?? [],
    used: [...values.keys()].sort(),
  };
}

function readFlag(word: string, types: FlagTypes): readonly [string, string] {
  const body = word.startsWith('--') ? word.slice(2) : word;
  const equals = body.indexOf('=');
  const name = equals < 0 ? body : body.slice(0, equals);
  const value = equals < 0 ? undefined : body.slice(equals + 1);
  const type = Object.hasOwn(types, name) ? types[name] : undefined;
  if (!type) throw unknown(name, types);
  if (type === 'bool') return [name, boolean(name, value ?? 'true')];
  if (value === undefined) {
    throw new SyntaxMistake('flag-without-value', `the flag --${name} has no value`, `Write --${name}=value`);
  }
  return [name, value];
}

function boolean(name: string, value: string): string {
  const lower = value.toLowerCase();
  if (lower === 'true' || lower === 'false') return lower;
  const hint = `Write --${name}, or leave it out`;
  throw new SyntaxMistake('flag-not-boolean', `the flag --${name} takes true or false, not "${value}"`, hint);
}

function unknown(name: string, types: FlagTypes): SyntaxMistake {
  const near = suggest(name, Object.keys(types));
  const known = Object.keys(types).map((flag) => `--${flag}`);
  const hint =
    near !== undefined
      ? `Did you mean --${near}?`
      : known.length > 0
        ? `Known here: ${known.join(', ')}`
        : `This instruction has no flags; what a program is given is written as JSON: ["--${name}"]`;
  return new SyntaxMistake('unknown-flag', `the flag --${name} is not known`, hint);
}

import { messageOf } from '../../engine/index.ts';
import { OperandsError, UsageError } from './usage-error.ts';
import { parseMoment } from './values/time.ts';

/** A `--filter` as it was typed. */
export interface Filter {
  readonly name: string;
  readonly value: string;
  /** `label!=x`: what has it not. */
  readonly negated?: boolean;
}

/** What a filter asks of a thing. */
export type Filters<T> = Readonly<Record<string, (thing: T, value: string) => boolean>>;

/**
 * `name=value`, of the filters that a command knows.
 *
 * @param choices values of filters that know only some
 * @throws naming the filter, or the value that it cannot have
 */
export function parseFilter(
  word: string,
  known: Readonly<Record<string, unknown>>,
  choices: Readonly<Record<string, readonly string[]>> = {},
): Filter {
  const match = /^([^=!]*)(!?)=(.*)$/s.exec(word);
  const [, name = '', not = '', value = ''] = match ?? [];
  const key = name.trim().toLowerCase();
  if (!match) throw new UsageError(`invalid filter '${word}': wanted name=value`);
  if (key === '') throw new OperandsError(`invalid filter '${word}': wanted name=value`);
  if (!Object.hasOwn(known, key)) {
    throw new OperandsError(
      `Cannot filter by ${key}: invalid filter '${key}'`,
      `${Object.keys(known).join(', ')} are known`,
    );
  }
  if (not !== '' && key !== 'label') throw new UsageError(`invalid filter '${word}': only a label can be negated`);
  checkValue(key, value.trim(), { ...BOOLEANS, ...choices }[key]);
  return { name: key, value: value.trim(), ...(not === '' ? {} : { negated: true }) };
}

const YES = ['true', '1'];
const WORDS = [...YES, 'false', '0'];
/** Filters that are on or off in every command that has them. */
const BOOLEANS: Readonly<Record<string, readonly string[]>> = { dangling: WORDS, all: WORDS, 'is-task': WORDS };

/** Whether a filter that is on or off is on. */
export function isTrue(value: string): boolean {
  return YES.includes(value);
}

function checkValue(name: string, value: string, choices: readonly string[] | undefined): void {
  if (choices && !choices.includes(value))
    throw new OperandsError(`invalid filter '${name}=${value}'`, `${choices.join(', ')} are known`);
  if (name === 'until') checkMoment(value);
}

/** Said before anything is gone. */
function checkMoment(value: string): void {
  try {
    parseMoment(value, Date.now());
  } catch (error) {
    throw new OperandsError(`invalid filter 'until=${value}': ${messageOf(error)}`);
  }
}

/** A value as Docker takes it: a pattern that may stand anywhere; one that is none stands for itself. */
export function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  }
}

/** Values of one filter are alternatives, different filters must all hold, and so must all labels; as with Docker. */
export function matchesAll<T>(thing: T, filters: readonly Filter[], known: Filters<T>): boolean {
  return Object.entries(known).every(([name, test]) => {
    const asked = filters.filter((filter) => filter.name === name);
    if (name === 'label') return asked.every(({ value, negated = false }) => test(thing, value) !== negated);
    return asked.length === 0 || asked.some(({ value }) => test(thing, value));
  });
}

/** `name` or `name=value` among labels. */
export function hasLabel(labels: Readonly<Record<string, string>>, value: string): boolean {
  const at = value.indexOf('=');
  const name = at < 0 ? value : value.slice(0, at);
  return Object.hasOwn(labels, name) && (at < 0 || labels[name] === value.slice(at + 1));
}

import { OperandsError, UsageError } from './usage-error.ts';

/** A `--filter` as it was typed. */
export interface Filter {
  readonly name: string;
  readonly value: string;
  /** `label!=x`: what has it not. */
  readonly negated?: boolean;
}

/** What a filter asks of a thing. */
export type Filters<T> = Readonly<Record<string, (thing: T, value: string) => boolean>>;

/** `name=value`, of the filters that a command knows. @throws naming the filter */
export function parseFilter(word: string, known: Readonly<Record<string, unknown>>): Filter {
  const match = /^([^=!]*)(!?)=(.*)$/s.exec(word);
  const [, name = '', not = '', value = ''] = match ?? [];
  const key = name.trim().toLowerCase();
  if (!match || key === '') throw new UsageError(`invalid filter '${word}': wanted name=value`);
  if (!Object.hasOwn(known, key)) {
    throw new OperandsError(
      `Cannot filter by ${key}: invalid filter '${key}'`,
      `${Object.keys(known).join(', ')} are known`,
    );
  }
  if (not !== '' && key !== 'label') throw new UsageError(`invalid filter '${word}': only a label can be negated`);
  return { name: key, value: value.trim(), ...(not === '' ? {} : { negated: true }) };
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

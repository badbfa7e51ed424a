import { EngineError } from '../../engine/index.ts';

/**
 * A YAML 1.2 boolean, as the runner's own toolkit takes it.
 *
 * @returns `fallback` for an empty value
 * @throws `INPUT_INVALID` for any other word, `yes` and `1` included
 */
export function parseBoolean(name: string, value: string, fallback: boolean): boolean {
  const text = value.trim();
  if (text === '') return fallback;
  if (['true', 'True', 'TRUE'].includes(text)) return true;
  if (['false', 'False', 'FALSE'].includes(text)) return false;
  throw new EngineError('INPUT_INVALID', `Cannot read input '${name}': '${text}' is neither true nor false`, {
    hint: `Write ${name}: true or ${name}: false`,
  });
}

/** One of `choices`; empty gives the first. @throws `INPUT_INVALID` naming all of them */
export function parseChoice<T extends string>(name: string, value: string, choices: readonly [T, ...T[]]): T {
  const text = value.trim();
  if (text === '') return choices[0];
  const choice = choices.find((one) => one === text);
  if (choice !== undefined) return choice;
  throw new EngineError('INPUT_INVALID', `Cannot read input '${name}': '${text}' is not one of ${choices.join(', ')}`, {
    hint: `Write ${name}: ${choices[0]}`,
  });
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** Bytes of `8GB`, `500 MB`, `2GiB` or a number. @returns `fallback` for an empty value @throws `INPUT_INVALID` */
export function parseSize(name: string, value: string, fallback: number): number {
  if (value === '') return fallback;
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmg]?i?)b?$/i.exec(value) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  const bytes = Math.floor(Number(digits) * (factor ?? 0));
  if (digits !== '' && factor !== undefined && Number.isSafeInteger(bytes)) return bytes;
  throw new EngineError('INPUT_INVALID', `Cannot read input '${name}': '${value}' is no size`, {
    hint: `Write ${name}: 8GB`,
  });
}

/**
 * `KEY=value` lines to a record; the last of two equal keys wins, as in Docker.
 *
 * @param bare what a line without `=` means: its value from the environment, or nothing at all
 * @throws `INPUT_INVALID` naming the input and the line (only the part before `=`)
 */
export function parsePairs(
  name: string,
  lines: readonly string[],
  bare: (key: string) => string | undefined,
): Readonly<Record<string, string>> {
  const pairs: [string, string][] = [];
  for (const line of lines) {
    const at = line.indexOf('=');
    const key = (at < 0 ? line : line.slice(0, at)).trim();
    if (key === '' || /\s/.test(key)) throw badPair(name, key);
    const value = at < 0 ? bare(key) : line.slice(at + 1);
    if (value !== undefined) pairs.push([key, value]);
  }
  return Object.fromEntries(pairs);
}

function badPair(name: string, key: string): EngineError {
  return new EngineError('INPUT_INVALID', `Cannot read input '${name}': '${key}' is not a name`, {
    hint: `Write one KEY=value a line`,
  });
}

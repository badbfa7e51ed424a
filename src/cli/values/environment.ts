import { isUtf8 } from 'node:buffer';
import { messageOf } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';
import { readSmallFile } from './small-file.ts';

/** What `-e NAME` without a value looks in. */
export type Lookup = (name: string) => string | undefined;

/** The longest line of an env file in bytes, as Docker has it. */
const MAX_LINE = 65_536;

/** `-e NAME=value`, or `-e NAME` with the caller's value; where the caller has none, `NAME` alone takes the variable away. */
export function parseEnv(text: string, lookup: Lookup): string {
  if (text === '' || text.startsWith('=')) throw new UsageError(`invalid environment variable: ${text}`);
  if (text.includes('=')) return text;
  const value = lookup(text);
  return value === undefined ? text : `${text}=${value}`;
}

/** Lines `NAME=value` or `NAME` of an env file: quotes are literal, nothing is expanded, a name that the caller lacks is left out. */
export function parseEnvFile(content: Uint8Array, file: string, lookup: Lookup): readonly string[] {
  return readLines(content, file).flatMap((line) => {
    const at = line.indexOf('=');
    const name = at < 0 ? line : line.slice(0, at);
    if (name === '') throw new UsageError(`${file}: no variable name on line '${line}'`);
    if (/\s/.test(name)) throw new UsageError(`${file}: variable '${name}' contains whitespaces`);
    if (at >= 0) return [line];
    const value = lookup(name);
    return value === undefined ? [] : [`${name}=${value}`];
  });
}

/** @throws naming the flag and the file */
export function readEnvFile(file: string, flag: string, lookup: Lookup): readonly string[] {
  let content: Uint8Array;
  try {
    content = readSmallFile(file);
  } catch (error) {
    throw new UsageError(`${flag}: ${notOpened(file, error)}`);
  }
  return parseEnvFile(content, file, lookup);
}

/** `open FILE: no such file or directory`, as Docker says it. */
export function notOpened(file: string, error: unknown): string {
  const words = /\bE[A-Z0-9]+: ([^,]+), /.exec(messageOf(error))?.[1];
  return words === undefined ? messageOf(error) : `open ${file}: ${words}`;
}

function readLines(content: Uint8Array, file: string): readonly string[] {
  if (!isUtf8(content)) throw new UsageError(`${file}: invalid utf8 bytes`);
  const text = Buffer.from(content)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  const lines = text.split('\n').map((line) => line.replace(/\r$/, '').trimStart());
  const long = lines.findIndex((line) => Buffer.byteLength(line) >= MAX_LINE);
  if (long >= 0) throw new UsageError(`${file}: line ${long + 1} is too long: the limit is ${MAX_LINE} bytes`);
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

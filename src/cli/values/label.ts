import { readEnvFile } from './environment.ts';
import { UsageError } from '../usage-error.ts';

/** `name=value` or `name`, of `--label`. @throws naming the label */
export function parseLabel(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  const name = at < 0 ? text : text.slice(0, at);
  if (name.trim() === '') throw new UsageError(`invalid label '${text}': empty name`);
  if (/\s/.test(name.trimStart())) throw new UsageError(`label '${name}' contains whitespaces`);
  return [name, at < 0 ? '' : text.slice(at + 1)];
}

/** `NAME=value`, of `--build-arg`; a bare name takes the caller's value, or is left out. */
export function parseBuildArg(
  text: string,
  lookup: (name: string) => string | undefined,
): readonly [string, string] | undefined {
  const at = text.indexOf('=');
  const name = at < 0 ? text : text.slice(0, at);
  if (name === '') throw new UsageError(`invalid build argument '${text}': empty name`);
  const value = at < 0 ? lookup(name) : text.slice(at + 1);
  return value === undefined ? undefined : [name, value];
}

/** Labels of `--label-file`, a line each. @throws naming the file */
export function readLabelFile(file: string): readonly (readonly [string, string])[] {
  return readEnvFile(file, '--label-file', () => '').map(parseLabel);
}

import { suggest } from '../../base/suggest.ts';
import { SyntaxMistake } from '../errors.ts';
import type { Device } from '../instruction.ts';
import { parseBool } from './bool.ts';
import { csvFields } from './csv.ts';

const KEYS = ['name', 'required'];

/** The value of `RUN --device=`: a CDI name, alone or as `name=`, and `required`. */
export function readDevice(raw: string): Device {
  let name = '';
  let required = false;
  for (const [index, field] of csvFields(raw, 'device').entries()) {
    const [key, value] = cut(field);
    if (key === 'required') required = value === undefined || readRequired(value);
    else if (key === 'name' && value !== undefined) name = setOnce(name, value);
    else if (index === 0) name = setOnce(name, field);
    else throw unexpected(field, key, value);
  }
  return { name, required };
}

function cut(field: string): readonly [string, string | undefined] {
  const equals = field.indexOf('=');
  return equals < 0
    ? [field.toLowerCase(), undefined]
    : [field.slice(0, equals).toLowerCase(), field.slice(equals + 1)];
}

function readRequired(value: string): boolean {
  const required = parseBool(value);
  if (required === undefined)
    throw new SyntaxMistake(
      'bad-value',
      `required takes true or false, not "${value}"`,
      'Write required=true or required=false',
    );
  return required;
}

function setOnce(before: string, name: string): string {
  if (before !== '')
    throw new SyntaxMistake(
      'bad-combination',
      `--device names both ${before} and ${name}`,
      'Write a --device for each',
    );
  return name;
}

function unexpected(field: string, key: string, value: string | undefined): SyntaxMistake {
  if (value === undefined)
    return new SyntaxMistake(
      'argument-count',
      `--device holds "${field}", which is no key=value`,
      'Write --device=name=nvidia.com/gpu,required=false',
    );
  const near = suggest(key, KEYS);
  return new SyntaxMistake(
    'unknown-key',
    `--device has no key "${key}"`,
    near === undefined ? `Known: ${KEYS.join(', ')}` : `Did you mean ${near}?`,
  );
}

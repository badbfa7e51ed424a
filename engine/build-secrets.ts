import { EngineError, type SourceLocation } from './base/errors.ts';
import type { BuildRequest, BuildSecret } from './engine.ts';
import type { Graph } from './graph/index.ts';
import type { ForbiddenValue } from './store/index.ts';

/** Bytes below which a value is found by chance (spec/hardening.md 5, rule 10). */
const SHORTEST = 8;

/**
 * The values that must not be in the image, in each form in which they are looked for: as they are, in base64 at each of the three
 * alignments, percent-encoded and as JSON. None where the user allows them. What compression hides is not seen.
 */
export function forbiddenValues({
  secrets = [],
  gitSecrets = [],
  knownSecrets = [],
  allowSecretInLayer,
}: Pick<BuildRequest, 'secrets' | 'gitSecrets' | 'knownSecrets' | 'allowSecretInLayer'>): readonly ForbiddenValue[] {
  if (allowSecretInLayer) return [];
  const known = new Map<string, Omit<ForbiddenValue, 'id'>>();
  for (const one of [...secrets, ...gitSecrets, ...knownSecrets].flatMap(formsOf)) {
    const key = Buffer.from(one.value).toString('latin1');
    if (!known.has(key)) known.set(key, one);
  }
  return [...known.values()].map((one, at) => ({ ...one, id: String(at) }));
}

function formsOf({ id, value }: BuildSecret): readonly Omit<ForbiddenValue, 'id'>[] {
  const bare = withoutNewline(Buffer.from(value));
  if (bare.length < SHORTEST) return [];
  const text = bare.toString('utf8');
  const isText = Buffer.from(text).equals(bare);
  const form = (bytes: Buffer, name: string): Omit<ForbiddenValue, 'id'> => ({ secret: id, value: bytes, form: name });
  return [
    form(bare, ''),
    ...[0, 1, 2].map((shift) => form(base64At(bare, shift), 'in base64')),
    ...(isText ? [form(Buffer.from(encodeURIComponent(text)), 'percent-encoded')] : []),
    ...(isText ? [form(Buffer.from(JSON.stringify(text).slice(1, -1)), 'as JSON')] : []),
  ];
}

/** A secret's file mostly ends in a newline that is no part of it. */
function withoutNewline(value: Buffer): Buffer {
  let end = value.length;
  while (end > 0 && (value[end - 1] === 0x0a || value[end - 1] === 0x0d)) end -= 1;
  return value.subarray(0, end);
}

/** The characters that the value alone decides, when `shift` bytes stand before it in its group of three. */
function base64At(value: Buffer, shift: number): Buffer {
  const text = Buffer.concat([Buffer.alloc(shift), value]).toString('base64');
  const first = Math.ceil((shift * 8) / 6);
  const last = Math.floor(((shift + value.length) * 8) / 6);
  return Buffer.from(text.slice(first, last));
}

/**
 * Refuses what the user gave and would stand in the image for all to read.
 *
 * @throws `SECRET_IN_CONFIG` naming the argument, never its value
 */
export function refuseSecretsInRequest(
  { buildArgs = {}, labels = {}, tags = [] }: BuildRequest,
  forbidden: readonly ForbiddenValue[],
): void {
  for (const [name, value] of Object.entries(buildArgs)) refuse(forbidden, `the build argument ${name}`, value);
  for (const [name, value] of Object.entries(labels)) refuse(forbidden, `the label ${name}`, `${name}=${value}`);
  for (const [at, tag] of tags.entries()) refuse(forbidden, `the ${at === 0 ? '' : `${ordinal(at)} `}name`, tag);
}

/**
 * Refuses secrets in the configuration that the image will have, and in steps, whose variables and arguments go into keys and history.
 *
 * @throws `SECRET_IN_CONFIG` naming the place, never its value
 */
export function refuseSecretsInConfig({ image, vertices }: Graph, forbidden: readonly ForbiddenValue[]): void {
  if (forbidden.length === 0) return;
  const { Env = [], Labels = {}, ...rest } = image.config;
  for (const entry of Env) refuse(forbidden, `ENV ${entry.split('=', 1)[0]}`, entry);
  for (const [name, value] of Object.entries(Labels)) refuse(forbidden, `LABEL ${name}`, `${name}=${value}`);
  for (const [name, value] of Object.entries(rest)) refuse(forbidden, name, JSON.stringify(value) ?? '');
  for (const { op, location } of vertices) {
    if (op.type !== 'exec') continue;
    for (const entry of op.env) refuse(forbidden, `the variable ${entry.split('=', 1)[0]} of a RUN`, entry, location);
    for (const word of op.args) refuse(forbidden, 'the command of a RUN', word, location);
  }
  for (const { createdBy } of image.history) refuse(forbidden, 'the history', createdBy);
}

function refuse(forbidden: readonly ForbiddenValue[], place: string, text: string, location?: SourceLocation): void {
  const bytes = Buffer.from(text);
  const found = forbidden.find(({ value }) => bytes.includes(Buffer.from(value)));
  if (!found) return;
  const form = found.form === '' ? '' : ` ${found.form}`;
  const line = location ? ` (${location.file} line ${location.startLine})` : '';
  throw new EngineError('SECRET_IN_CONFIG', `Cannot build: ${place} holds the secret "${found.secret}"${form}${line}`, {
    hint: `Everybody who has the image can read it: use RUN --mount=type=secret,id=${found.secret}, or --allow-secret-in-layer`,
    location,
  });
}

function ordinal(at: number): string {
  return ['first', 'second', 'third'][at] ?? `${at + 1}th`;
}

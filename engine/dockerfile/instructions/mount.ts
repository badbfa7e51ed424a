import { suggest } from '../../base/suggest.ts';
import { SyntaxMistake } from '../errors.ts';
import type { MountFlag } from '../instruction.ts';
import { parseBool } from './bool.ts';
import { parseSize } from './size.ts';

const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
const SHARING = ['shared', 'private', 'locked'] as const;
const READONLY_BY_DEFAULT: readonly MountType[] = ['bind', 'secret', 'ssh'];
const OWNED: readonly MountType[] = ['cache', 'secret', 'ssh'];

export type MountType = (typeof TYPES)[number];

/** What types a key is for, of those that not every type takes. */
const TAKEN_BY: Readonly<Record<string, readonly MountType[]>> = {
  required: ['secret', 'ssh'],
  size: ['tmpfs'],
  sharing: ['cache'],
  env: ['secret'],
  mode: OWNED,
  uid: OWNED,
  gid: OWNED,
};

/** How the value of a key is written, where that is no yes or no. */
const VALUES: Readonly<Record<string, string>> = {
  size: 'size=64m or size=1g',
  sharing: SHARING.map((one) => `sharing=${one}`).join(', '),
  mode: 'an octal number such as mode=0755',
  uid: 'a number such as uid=1000',
  gid: 'a number such as gid=1000',
};

/** A `RUN --mount`, typed. */
export interface Mount {
  readonly type: MountType;
  readonly from?: string | undefined;
  readonly source?: string | undefined;
  readonly target?: string | undefined;
  readonly readonly: boolean;
  /** Bytes of a tmpfs. */
  readonly size?: number | undefined;
  readonly id?: string | undefined;
  readonly sharing?: (typeof SHARING)[number] | undefined;
  readonly required?: boolean | undefined;
  readonly env?: string | undefined;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

type Draft = { -readonly [K in keyof Mount]?: Mount[K] };

/**
 * Types a mount once variables are known.
 *
 * @param expand value of a word
 * @throws SyntaxMistake for unknown keys, bad values and combinations that make no sense
 */
export function parseMount(flag: MountFlag, expand: (word: string) => string): Mount {
  const draft: Draft = { type: 'bind' };
  for (const field of flag.fields) readField(field, draft, expand);
  const type = draft.type ?? 'bind';
  checkCombination({ ...draft, type, readonly: true });
  return { ...draft, type, readonly: draft.readonly ?? READONLY_BY_DEFAULT.includes(type) };
}

function readField(field: string, draft: Draft, expand: (word: string) => string): void {
  const equals = field.indexOf('=');
  const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  if (equals < 0) {
    readSwitch(key, field, draft);
    return;
  }
  const set = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (!set) throw unknownKey(key);
  set(draft, expand(field.slice(equals + 1)), key);
}

function readSwitch(key: string, field: string, draft: Draft): void {
  if (key === 'readonly' || key === 'ro') draft.readonly = true;
  else if (key === 'readwrite' || key === 'rw') draft.readonly = false;
  else if (key === 'required') setRequired(draft, 'true');
  else throw new SyntaxMistake('argument-count', `--mount holds "${field}", which is no key=value`, switchHint(key));
}

function switchHint(key: string): string {
  return Object.hasOwn(KEYS, key) ? `Write ${key}=value` : didYouMean(key, Object.keys(KEYS));
}

const setReadonly = (draft: Draft, value: string, key: string): void => void (draft.readonly = bool(key, value));
const setReadwrite = (draft: Draft, value: string, key: string): void => void (draft.readonly = !bool(key, value));
const setSource = (draft: Draft, value: string): void => void (draft.source = value);
const setTarget = (draft: Draft, value: string): void => void (draft.target = value);

const KEYS: Readonly<Record<string, (draft: Draft, value: string, key: string) => void>> = {
  type: setType,
  from: (draft, value) => (draft.from = value),
  source: setSource,
  src: setSource,
  target: setTarget,
  dst: setTarget,
  destination: setTarget,
  readonly: setReadonly,
  ro: setReadonly,
  readwrite: setReadwrite,
  rw: setReadwrite,
  required: setRequired,
  size: setSize,
  id: (draft, value) => (draft.id = value),
  sharing: setSharing,
  mode: (draft, value) => (draft.mode = number('mode', value, 8)),
  uid: (draft, value) => (draft.uid = number('uid', value, 10)),
  gid: (draft, value) => (draft.gid = number('gid', value, 10)),
  env: (draft, value) => (draft.env = value),
};

function setType(draft: Draft, value: string): void {
  const type = TYPES.find((candidate) => candidate === value.toLowerCase());
  if (!type) throw new SyntaxMistake('mount-type', `--mount has no type "${value}"`, didYouMean(value, TYPES));
  draft.type = type;
}

function setRequired(draft: Draft, value: string): void {
  if (draft.type !== 'secret' && draft.type !== 'ssh') throw unexpectedKey('required', draft);
  draft.required = bool('required', value);
}

function setSize(draft: Draft, value: string): void {
  if (draft.type !== 'tmpfs') throw unexpectedKey('size', draft);
  const size = parseSize(value);
  if (size === undefined) throw badValue('size', value);
  draft.size = size;
}

function setSharing(draft: Draft, value: string): void {
  const sharing = SHARING.find((candidate) => candidate === value.toLowerCase());
  if (!sharing) throw badValue('sharing', value);
  draft.sharing = sharing;
}

function checkCombination(mount: Mount): void {
  const { type } = mount;
  for (const key of ['mode', 'uid', 'gid'] as const) {
    if (mount[key] !== undefined && !OWNED.includes(type)) throw unexpectedKey(key, mount);
  }
  if (mount.sharing !== undefined && type !== 'cache') throw unexpectedKey('sharing', mount);
  if (mount.env !== undefined && type !== 'secret') throw unexpectedKey('env', mount);
  if (type === 'secret') checkSecret(mount);
}

function checkSecret(mount: Mount): void {
  if (mount.from !== undefined) throw unexpectedKey('from', mount);
  if (mount.source !== undefined && mount.id !== undefined) {
    throw new SyntaxMistake('bad-combination', 'a secret mount takes id or source, not both', 'Leave out source');
  }
  if (mount.source === undefined && mount.id === undefined && mount.target === undefined) {
    throw new SyntaxMistake('bad-combination', 'a secret mount needs an id', 'Write --mount=type=secret,id=name');
  }
}

function bool(key: string, value: string): boolean {
  const parsed = parseBool(value);
  if (parsed === undefined) throw badValue(key, value);
  return parsed;
}

function number(key: string, value: string, radix: 8 | 10): number {
  const parsed = (radix === 8 ? /^[0-7]+$/ : /^\d+$/).test(value) ? Number.parseInt(value, radix) : Number.NaN;
  if (!(parsed <= 0xffff_ffff)) throw badValue(key, value);
  return parsed;
}

function badValue(key: string, value: string): SyntaxMistake {
  return new SyntaxMistake(
    'bad-value',
    `--mount has the bad value "${value}" for ${key}`,
    `Write ${VALUES[key] ?? `${key}=true or ${key}=false`}`,
  );
}

function unexpectedKey(key: string, { type }: Draft): SyntaxMistake {
  const fitting = TYPES.filter((one) => TAKEN_BY[key]?.includes(one)).join(' or ');
  const hint = fitting === '' ? `Leave out ${key}` : `Leave out ${key}, which is for type=${fitting}`;
  return new SyntaxMistake('bad-combination', `a mount of type ${type ?? 'bind'} takes no ${key}`, hint);
}

function unknownKey(key: string): SyntaxMistake {
  if (key === '')
    return new SyntaxMistake(
      'argument-count',
      '--mount holds a field without a key',
      `Known: ${Object.keys(KEYS).join(', ')}`,
    );
  return new SyntaxMistake('unknown-key', `--mount has no key "${key}"`, didYouMean(key, Object.keys(KEYS)));
}

function didYouMean(word: string, known: readonly string[]): string {
  const near = suggest(word, known);
  return near === undefined ? `Known: ${known.join(', ')}` : `Did you mean ${near}?`;
}

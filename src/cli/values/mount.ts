import { isAbsolute, resolve } from 'node:path';
import type { Mount } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';
import { parseCsv } from './csv.ts';
import { parseLabel } from './label.ts';
import { absolute, toMode } from './mount-fields.ts';
import { parseSize } from './size.ts';

/** Fields of `--mount` before they are checked against the type. */
interface Fields {
  type: string;
  source?: string;
  target?: string;
  readonly?: boolean;
  size?: number;
  mode?: number;
  createSource?: boolean;
  nocopy?: boolean;
  labels?: Record<string, string>;
  recursive?: string;
  propagation?: string;
  /** Fields of one type: `bind`, `volume` and so on. */
  readonly seen: Set<string>;
}

/** `--mount type=…,source=…,target=…`. @throws naming the field */
export function parseMount(text: string, cwd: string): Mount {
  if (text === '') throw new UsageError('value is empty');
  const fields: Fields = { type: 'volume', seen: new Set() };
  for (const field of parseCsv(text)) setField(fields, field);
  checkFields(fields);
  const { source, target } = fields;
  if (target === undefined) throw new UsageError(`invalid mount '${text}': target is required`);
  const shared = { target: absolute(target, text), ...(fields.readonly ? { readonly: true } : {}) };
  if (fields.type === 'tmpfs') {
    if (source !== undefined) throw new UsageError(`invalid mount '${text}': a tmpfs has no source`);
    return { type: 'tmpfs', ...shared, ...pick(fields, 'size'), ...pick(fields, 'mode') };
  }
  if (fields.type === 'volume') {
    const { nocopy, labels } = fields;
    const own = {
      ...(source === undefined ? {} : { source }),
      ...(nocopy ? { nocopy } : {}),
      ...(labels ? { labels } : {}),
    };
    return { type: 'volume', ...shared, ...own };
  }
  if (source === undefined) throw new UsageError(`invalid mount '${text}': source is required for a bind`);
  const hostPath = /^\.{1,2}(\/|$)/.test(source) ? resolve(cwd, source) : source;
  if (!isAbsolute(hostPath))
    throw new UsageError(`invalid mount '${text}': source must be an absolute path or start with ./`);
  return {
    type: 'bind',
    ...shared,
    source: hostPath,
    ...(fields.createSource ? { createSource: true } : {}),
    ...bindOptions(fields),
  };
}

function setField(fields: Fields, field: string): void {
  const at = field.indexOf('=');
  const rawName = at < 0 ? field : field.slice(0, at);
  const value = at < 0 ? undefined : field.slice(at + 1);
  const name = rawName.toLowerCase();
  if (name.trim() !== name)
    throw new UsageError(`invalid option '${name.trim()}' in '${field}': option should not have whitespace`);
  if (value === '') throw new UsageError(`invalid value for '${name}': value is empty`);
  if (value !== undefined && value.trim() !== value) {
    throw new UsageError(`invalid value for '${name}' in '${field}': value should not have whitespace`);
  }
  const boolean = BOOLEANS[name];
  if (value === undefined && boolean === undefined) {
    if (name === 'bind-nonrecursive') throw new UsageError(DEPRECATED);
    throw new UsageError(`invalid field '${field}' must be a key=value pair`);
  }
  const prefix = /^(bind|volume|tmpfs|image)-/.exec(name)?.[1];
  if (prefix) fields.seen.add(prefix);
  if (boolean) boolean(fields, toBoolean(name, value));
  else set(fields, name, value ?? '', field);
}

const DEPRECATED = 'bind-nonrecursive is deprecated, use bind-recursive=disabled instead';

const BOOLEANS: Readonly<Record<string, (fields: Fields, value: boolean) => void>> = {
  readonly: (fields, value) => (fields.readonly = value),
  ro: (fields, value) => (fields.readonly = value),
  'volume-nocopy': (fields, value) => (fields.nocopy = value),
  'bind-create-src': (fields, value) => (fields.createSource = value),
};

function set(fields: Fields, name: string, value: string, field: string): void {
  if (name === 'type') fields.type = value.toLowerCase();
  else if (name === 'source' || name === 'src') fields.source = value;
  else if (name === 'target' || name === 'dst' || name === 'destination') fields.target = value;
  else if (name === 'tmpfs-size') fields.size = tmpfsSize(value);
  else if (name === 'tmpfs-mode') fields.mode = toMode(value, 'tmpfs-mode');
  else if (name === 'bind-recursive') fields.recursive = value;
  else if (name === 'bind-propagation') fields.propagation = value;
  else if (name === 'volume-label') addLabel(fields, value);
  else if (name === 'volume-driver') requireLocal(value);
  else if (name === 'bind-nonrecursive') throw new UsageError(DEPRECATED);
  else if (name === 'consistency') return;
  else if (KNOWN.has(name)) throw new UsageError(`Cannot use mount option ${name}: not supported yet`, INSTEAD[name]);
  else throw new UsageError(`unknown option '${name}' in '${field}'`);
}

/** Options of Docker's that are not done. `consistency` only ever meant something on a Mac, and is accepted as there: without effect. */
const INSTEAD: Readonly<Record<string, string>> = {
  'volume-opt':
    'make the volume with its options, and mount it by its name: berth volume create -o type=none -o o=bind -o device=/directory NAME',
  'volume-subpath': 'mount the whole volume, and use the path below its target',
  'image-subpath': 'copy the files out of the image: berth cp',
};
const KNOWN = new Set(Object.keys(INSTEAD));

function checkFields(fields: Fields): void {
  const { type, recursive, propagation } = fields;
  for (const prefix of fields.seen) {
    if (prefix !== type) throw new UsageError(`cannot mix '${prefix}-*' options with mount type '${type}'`);
  }
  if (!['bind', 'volume', 'tmpfs'].includes(type))
    throw new UsageError(
      `Cannot use a mount of type ${type}: not supported yet`,
      type === 'image'
        ? 'copy its files: berth create --name NAME IMAGE, then berth cp NAME:/path . and -v "$PWD/path:/path:ro"'
        : 'bind, volume and tmpfs are done',
    );
  if ((recursive === 'writable' || recursive === 'readonly') && !fields.readonly) {
    throw new UsageError(`option 'bind-recursive=${recursive}' requires 'readonly' to be specified in conjunction`);
  }
  if (recursive === 'readonly' && propagation !== 'rprivate') {
    throw new UsageError(
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
  }
  if (recursive !== undefined && !isRecursive(recursive)) {
    throw new UsageError(
      `invalid value for 'bind-recursive': invalid value: ${recursive}: must be one of "enabled", "disabled", "writable", or "readonly"`,
    );
  }
  if (propagation !== undefined && !isPropagation(propagation)) {
    throw new UsageError(
      `Cannot use bind-propagation=${propagation}: mounts of a container are never shown to the host`,
      'private, rprivate, slave and rslave are known',
    );
  }
}

function bindOptions({ recursive, propagation }: Fields): Pick<Mount, 'recursive' | 'propagation'> {
  return {
    ...(recursive !== undefined && recursive !== 'enabled' && isRecursive(recursive) ? { recursive } : {}),
    ...(propagation !== undefined && isPropagation(propagation) ? { propagation } : {}),
  };
}

function isRecursive(word: string): word is NonNullable<Mount['recursive']> {
  return ['enabled', 'disabled', 'writable', 'readonly'].includes(word);
}

function isPropagation(word: string): word is NonNullable<Mount['propagation']> {
  return ['private', 'rprivate', 'slave', 'rslave'].includes(word);
}

function addLabel(fields: Fields, text: string): void {
  const [name, value] = parseLabel(text);
  fields.labels = { ...fields.labels, [name]: value };
}

function requireLocal(driver: string): void {
  if (driver === 'local') return;
  throw new UsageError(
    `Cannot use volume driver "${driver}": there are no plugins`,
    'leave it out: local is the one there is',
  );
}

function toBoolean(name: string, value: string | undefined): boolean {
  if (value === undefined || value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw new UsageError(
    `invalid value for '${name}': invalid boolean value ("${value}"): must be one of "true", "1", "false", or "0"`,
  );
}

function tmpfsSize(value: string): number {
  try {
    return parseSize(value);
  } catch {
    throw new UsageError(`invalid value for tmpfs-size: ${value}`);
  }
}

function pick<K extends 'size' | 'mode'>(fields: Fields, key: K): { readonly [P in K]?: number } {
  const value = fields[key];
  // Type: a record of the one key K, which TypeScript widens to string.
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: number };
}

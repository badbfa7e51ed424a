import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { BuildSecret, SshAgent } from '../../../engine/index.ts';
import type { FlagContext } from '../flags.ts';
import { UsageError } from '../usage-error.ts';
import { parseCsv } from './csv.ts';

/** BuildKit's limit of one secret. */
const LARGEST = 500 * 1024;

/** `id=NAME[,src=FILE|,env=VARIABLE]` of `--secret`; without a place, the variable or else the file of that name. */
export function parseSecret(text: string, context: FlagContext): BuildSecret {
  const { id = '', type, src, env, ...unknown } = fieldsOf(text);
  const [key] = Object.keys(unknown);
  if (key !== undefined)
    throw new UsageError(`unexpected key '${key}' in '${text}'`, 'known are id, src, env and type');
  if (id === '') throw new UsageError('id is missing', `--secret id=name,src=FILE`);
  if (type !== undefined && type !== 'file' && type !== 'env')
    throw new UsageError(`unsupported secret type "${type}"`);
  if (src !== undefined && env !== undefined) throw new UsageError('a secret has src or env, not both');
  return { id, value: read(id, { type, src, env }, context) };
}

function read(
  id: string,
  {
    type,
    src,
    env,
  }: { readonly type?: string | undefined; readonly src?: string | undefined; readonly env?: string | undefined },
  { cwd, lookup }: FlagContext,
): Uint8Array {
  // As buildx: `type=env` makes a variable of src.
  const variable = env ?? (type === 'env' ? (src ?? id) : undefined);
  if (variable !== undefined) return fromVariable(id, variable, lookup(variable));
  const own = src === undefined && type === undefined ? lookup(id) : undefined;
  return own === undefined ? fromFile(id, resolve(cwd, src ?? id)) : fromVariable(id, id, own);
}

function fromVariable(id: string, name: string, value: string | undefined): Uint8Array {
  if (value === undefined) {
    throw new UsageError(
      `Cannot read the secret "${id}": the variable ${name} is not set`,
      `export ${name}, name a file with src=FILE, or leave the secret out`,
    );
  }
  return bounded(id, Buffer.from(value));
}

function fromFile(id: string, path: string): Uint8Array {
  try {
    if (!statSync(path).isFile()) throw new UsageError(`Cannot read the secret "${id}": ${path} is no file`);
    return bounded(id, readFileSync(path));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code = '' } = error as NodeJS.ErrnoException;
    const state = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    throw new UsageError(`Cannot read the secret "${id}" from ${path}: ${state}`, `--secret id=${id},src=FILE`);
  }
}

function bounded(id: string, value: Uint8Array): Uint8Array {
  if (value.length <= LARGEST) return value;
  throw new UsageError(`Cannot use the secret "${id}": it has ${value.length} bytes, the limit is ${LARGEST}`);
}

/** `default`, `ID` or `ID=SOCKET` of `--ssh`; without a socket, the one of SSH_AUTH_SOCK. */
export function parseSsh(text: string, { cwd, lookup }: FlagContext): SshAgent {
  const [id = '', ...rest] = text.split('=');
  if (id === '') throw new UsageError('id is missing', '--ssh default');
  const socket = rest.length === 0 ? lookup('SSH_AUTH_SOCK') : rest.join('=');
  if (!socket) {
    throw new UsageError(
      `Cannot use the SSH agent "${id}": SSH_AUTH_SOCK is not set`,
      `start one with eval "$(ssh-agent)" && ssh-add, or name its socket: --ssh ${id}=/path/to/socket`,
    );
  }
  const path = isAbsolute(socket) ? socket : resolve(cwd, socket);
  if (socket.includes(',') || isFile(path)) {
    throw new UsageError(
      `Cannot use --ssh ${text}: keys in files are not supported, only the socket of an agent`,
      `ssh-add the keys, then --ssh ${id}`,
    );
  }
  return { id, socket: path };
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

const ALIASES: Readonly<Record<string, string>> = { source: 'src' };

function fieldsOf(text: string): Partial<Record<string, string>> {
  const fields = parseCsv(text).map((field): readonly [string, string] => {
    const equals = field.indexOf('=');
    if (equals < 0) throw new UsageError(`invalid field '${field}' must be a key=value pair`);
    const key = field.slice(0, equals).trim().toLowerCase();
    return [ALIASES[key] ?? key, field.slice(equals + 1)];
  });
  return Object.fromEntries(fields);
}

import { EngineError, isEngineError } from '../base/errors.ts';
import type { Helper } from '../native/types.ts';
import { type Accounts, parseGroup, parsePasswd } from './user.ts';

/** Bytes of `/etc/passwd` or `/etc/group` beyond which they are refused (spec/hardening.md 4, rule 14). */
const MAX_FILE = 10 * 1024 * 1024;
/** How many images' accounts are remembered. */
const REMEMBERED = 32;

/** Reads the users and groups of a root file system, given by its snapshots, topmost first. */
export type ReadAccounts = (
  snapshots: readonly string[],
  options?: { readonly signal?: AbortSignal | undefined },
) => Promise<Accounts>;

/**
 * A {@link ReadAccounts} through the helper, which resolves inside the root and opens nothing but regular files; a stack of snapshots that
 * will not change is read once, if `remember` is set.
 *
 * @throws the helper's refusal, naming the file
 */
export function createReadAccounts(helper: Helper, { remember = false } = {}): ReadAccounts {
  const known = new Map<string, Accounts>();
  return async (snapshots, options = {}) => {
    const key = snapshots.join(' ');
    const found = known.get(key);
    if (found) return found;
    // One after the other, which one process of the helper does; side by side they would take two.
    const passwd = await readText(helper, snapshots, '/etc/passwd', options.signal);
    const group = await readText(helper, snapshots, '/etc/group', options.signal);
    const accounts = { users: parsePasswd(passwd), groups: parseGroup(group) };
    if (remember) {
      const oldest = known.size >= REMEMBERED ? known.keys().next().value : undefined;
      if (oldest !== undefined) known.delete(oldest);
      known.set(key, accounts);
    }
    return accounts;
  };
}

async function readText(
  helper: Helper,
  snapshots: readonly string[],
  path: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  // From scratch: there is no file system yet to look into.
  if (snapshots.length === 0) return '';
  const chunks: Uint8Array[] = [];
  const onData = (chunk: Uint8Array): void => void chunks.push(chunk);
  try {
    await helper.call('read-file', { snapshots: [...snapshots], path, maxBytes: MAX_FILE }, { signal, onData });
  } catch (error) {
    if (isEngineError(error, 'NATIVE_NOT_FOUND')) return '';
    if (isEngineError(error, 'NATIVE_INVALID')) {
      throw new EngineError('INVALID_ACCOUNTS', `Cannot read ${path} of the image: ${error.message}`, { cause: error });
    }
    throw error;
  }
  return Buffer.concat(chunks).toString('utf8');
}

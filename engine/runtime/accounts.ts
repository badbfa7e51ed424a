import { EngineError, isEngineError } from '../base/errors.ts';
import type { Helper } from '../native/types.ts';
import { type Accounts, parseGroup, parsePasswd } from './user.ts';

/** Bytes of `/etc/passwd` or `/etc/group` beyond which they are refused (spec/hardening.md 4, rule 14). */
const MAX_FILE = 10 * 1024 * 1024;
/** Users and groups. */
const FILES = ['/etc/passwd', '/etc/group'];
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
    const [passwd = '', group = ''] = await readTexts(helper, snapshots, options.signal);
    const accounts = { users: parsePasswd(passwd), groups: parseGroup(group) };
    if (remember) {
      const oldest = known.size >= REMEMBERED ? known.keys().next().value : undefined;
      if (oldest !== undefined) known.delete(oldest);
      known.set(key, accounts);
    }
    return accounts;
  };
}

/** The files by one request: each takes a process of the helper. A missing one is empty. */
async function readTexts(
  helper: Helper,
  snapshots: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  // From scratch: there is no file system yet to look into.
  if (snapshots.length === 0) return [];
  const chunks: Uint8Array[] = [];
  const onData = (chunk: Uint8Array): void => void chunks.push(chunk);
  const args = { snapshots: [...snapshots], paths: [...FILES], maxBytes: MAX_FILE };
  try {
    const { sizes } = await helper.call('read-files', args, { signal, onData });
    const content = Buffer.concat(chunks);
    let end = 0;
    return sizes.map((size) => content.toString('utf8', end, (end += size ?? 0)));
  } catch (error) {
    if (isEngineError(error, 'NATIVE_INVALID')) {
      const path = FILES.find((file) => error.message.includes(file)) ?? FILES.join(' or ');
      throw new EngineError('INVALID_ACCOUNTS', `Cannot read ${path} of the image: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

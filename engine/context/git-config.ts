import type { WarningEvent } from '../base/progress.ts';
import { join } from 'node:path';
import { readRegularFile } from './regular.ts';

/** Where git keeps what a checkout may have been given: `actions/checkout` before version 6 writes its token there. */
export const GIT_CONFIG = '.git/config';

const MAX_SIZE = 1024 * 1024;
/** A header for every request, and a password in an address. */
const CREDENTIALS = /^\s*extraheader\s*=\s*\S*authorization|:\/\/[^\s/"@:]*:[^\s/"@]+@/im;

/**
 * The warning for a `.git/config` that is about to be copied and holds a credential (spec/bad-inputs.md 57).
 *
 * @param root hostPath of the context
 */
export async function credentialWarning(root: string): Promise<WarningEvent | undefined> {
  const options = { code: 'CONTEXT_INVALID', act: 'read', limit: MAX_SIZE };
  const text = await readRegularFile(join(root, GIT_CONFIG), options).catch(() => undefined);
  if (!text || !CREDENTIALS.test(text.toString('latin1'))) return undefined;
  return {
    type: 'warning',
    message: `${GIT_CONFIG} holds a credential, and a COPY takes it into the image`,
    hint: 'Add .git to .dockerignore, or check out with persist-credentials: false',
  };
}

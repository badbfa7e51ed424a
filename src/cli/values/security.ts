import { resolve } from 'node:path';
import { messageOf, type SecurityOptions } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';
import { notOpened } from './environment.ts';
import { readSmallFile } from './small-file.ts';

/**
 * One `--security-opt`: `no-new-privileges[:true|false]`, `seccomp=FILE|unconfined|builtin`, `systempaths=unconfined`, and the words that ask for
 * what is the case here anyway (`apparmor=unconfined`, `label=disable`). @throws naming what is not done
 */
export function parseSecurity(text: string, cwd: string): SecurityOptions {
  const [, name = text, value] = /^([^=:]+)[=:](.*)$/s.exec(text) ?? [];
  if (name === 'no-new-privileges') return { noNewPrivileges: toBoolean(value ?? 'true', text) };
  if (value === undefined) throw new UsageError(`Invalid --security-opt: "${text}"`);
  if (name === 'seccomp') return { seccomp: seccompOf(value, cwd) };
  if (name === 'systempaths' && value === 'unconfined') return { systemPathsUnconfined: true };
  // Neither AppArmor nor SELinux is used here, so a container is as unconfined by them as these ask for.
  if (name === 'apparmor' && value === 'unconfined') return {};
  if (name === 'label' && value === 'disable') return {};
  if (name === 'apparmor' || name === 'label') {
    throw new UsageError(
      `Cannot use --security-opt ${text}: containers of berth have no ${name === 'label' ? 'SELinux label' : 'AppArmor profile'}`,
      `leave it out, or give ${name === 'label' ? 'label=disable' : 'apparmor=unconfined'}`,
    );
  }
  throw new UsageError(
    `Invalid --security-opt: "${text}"`,
    'no-new-privileges, seccomp= and systempaths=unconfined are options',
  );
}

function toBoolean(word: string, text: string): boolean {
  if (word === 'true') return true;
  if (word === 'false') return false;
  throw new UsageError(`Invalid --security-opt: "${text}": wanted true or false`);
}

function seccompOf(value: string, cwd: string): SecurityOptions['seccomp'] {
  if (value === 'unconfined') return 'unconfined';
  if (value === 'builtin') return undefined;
  let text: string;
  try {
    text = readSmallFile(resolve(cwd, value)).toString('utf8');
  } catch (error) {
    throw new UsageError(`opening seccomp profile (${value}) failed: ${notOpened(value, error)}`);
  }
  try {
    const profile: unknown = JSON.parse(text);
    if (typeof profile !== 'object' || profile === null || Array.isArray(profile)) throw new Error('it is no object');
    // Type: an object of JSON.
    return profile as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new UsageError(`reading seccomp profile (${value}) failed: ${messageOf(error)}`);
  }
}

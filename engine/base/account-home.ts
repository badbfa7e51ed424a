import { userInfo } from 'node:os';

/** The home folder of the account, whatever the environment says; undefined for a user without one. */
export function accountHome(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    return undefined;
  }
}

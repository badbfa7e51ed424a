import { homedir } from 'node:os';
import type { FlagContext } from './flags.ts';

/** What Debian calls the home of those who have none. */
const NO_HOME = '/nonexistent';

/** The user's home: HOME, else what the list of users says (`ask`, which throws); undefined for a user who is not in it, as in many containers. */
export function homeOf(lookup: FlagContext['lookup'], ask: () => string = homedir): string | undefined {
  const home = lookup('HOME');
  if (home) return home;
  try {
    return ask();
  } catch {
    return undefined;
  }
}

/** A path for what may be missing: {@link homeOf}, or a folder that is not there. */
export function homeOrNone(lookup: FlagContext['lookup']): string {
  return homeOf(lookup) ?? NO_HOME;
}

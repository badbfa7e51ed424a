import { join } from 'node:path';
import type { Isolation } from './isolation.ts';
import { readKept, removeKept, writeKept } from './kept.ts';
import { PROTOCOL_VERSION } from './protocol.ts';

/** How long findings count, in milliseconds: what was found possible, and what was not and may be by now. */
const POSSIBLE = 60 * 60_000;
const LACKING = 60_000;

/** What was found out about this machine since it was started, kept from one command to the next. */
export interface Memory {
  /** What was found under the same facts; undefined for anything doubtful. */
  recall(): Isolation | undefined;
  /** Keeps it where it can be kept. `lacking`: something is not possible that may be soon. */
  keep(isolation: Isolation, lacking: boolean): void;
  forget(): void;
}

interface Kept {
  readonly protocol: number;
  readonly facts: string;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly isolation: Isolation;
}

/**
 * {@link Memory} in the store's folder `run`, as a file that its owner alone can read or write. Only the same `facts`, all that the findings depend
 * on, make it count; undefined facts keep nothing.
 */
export function createMemory(root: string, facts: () => string | undefined, now: () => number = Date.now): Memory {
  const path = join(root, 'run', 'machine.json');
  return {
    recall: () => {
      // Type: nobody else can have written the file, and its own version is in it.
      const { protocol, until = 0, ...kept } = (readKept(path) ?? {}) as Partial<Kept>;
      // A clock that was set back must not make it count for longer.
      const left = until - now();
      if (protocol !== PROTOCOL_VERSION || !(left > 0 && left <= POSSIBLE)) return undefined;
      return kept.facts === facts() ? kept.isolation : undefined;
    },
    keep: (isolation, lacking) => {
      const found = facts();
      if (found === undefined) return;
      const until = now() + (lacking ? LACKING : POSSIBLE);
      const kept: Kept = { protocol: PROTOCOL_VERSION, facts: found, until, isolation };
      writeKept(path, kept);
    },
    forget: () => removeKept(path),
  };
}

import { memo as memoOf } from '../base/memo.ts';

/** Makes an act that is done once for each id. A failure that nobody waits for yet is not lost: every later caller gets it. */
export type Memo = <A extends readonly [id: string, ...rest: unknown[]], T>(
  act: (...args: A) => Promise<T>,
) => (...args: A) => Promise<T>;

/** Acts that are done once, and when they have ended. */
export interface Memos {
  readonly memo: Memo;
  /** Resolves when none of them is under way any more. */
  idle(): Promise<void>;
}

/** {@link Memos} for the time of one run. */
export function createMemos(): Memos {
  const pending = new Set<Promise<unknown>>();
  const track = <T>(started: Promise<T>): Promise<T> => {
    pending.add(started);
    void started.catch(() => undefined).then(() => pending.delete(started));
    return started;
  };
  return {
    memo: (act) =>
      memoOf(
        (...args) => track(act(...args)),
        (...[id]) => id,
      ),
    idle: async () => {
      while (pending.size > 0) await Promise.allSettled([...pending]);
    },
  };
}

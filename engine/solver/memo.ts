/** Makes an act that is done once for each first argument; every later caller gets the same promise. */
export type Memo = <R extends readonly unknown[], T>(
  act: (id: string, ...rest: R) => Promise<T>,
) => (id: string, ...rest: R) => Promise<T>;

/** Acts that are done once, and when they have ended. */
export interface Memos {
  readonly memo: Memo;
  /** Resolves when none of them is under way any more. */
  idle(): Promise<void>;
}

/** {@link Memos} for the time of one run. A failure that nobody waits for yet is not lost: every later caller gets it. */
export function createMemos(): Memos {
  const pending = new Set<Promise<unknown>>();
  const memo: Memo = (act) => {
    const known = new Map<string, ReturnType<typeof act>>();
    return (id, ...rest) => {
      const found = known.get(id);
      if (found) return found;
      const started = act(id, ...rest);
      known.set(id, started);
      pending.add(started);
      void started.catch(() => undefined).then(() => pending.delete(started));
      return started;
    };
  };
  return {
    memo,
    idle: async () => {
      while (pending.size > 0) await Promise.allSettled([...pending]);
    },
  };
}

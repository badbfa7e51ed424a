/** Runs at most so many of the acts at a time. */
export type Limit = <T>(act: () => Promise<T>) => Promise<T>;

/** A {@link Limit} of `concurrency` acts; the others wait in order. */
export function createLimit(concurrency: number): Limit {
  let free = concurrency;
  const waiting: (() => void)[] = [];
  const acquire = async (): Promise<void> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const release = (): void => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };
  return async (act) => {
    await acquire();
    try {
      return await act();
    } finally {
      release();
    }
  };
}

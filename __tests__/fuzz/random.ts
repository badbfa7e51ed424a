/** Numbers that look random and are the same for the same seed, so that a case is found again by its number. */
export interface Random {
  /** A whole number from 0 to below `limit`; 0 where the limit is less than 1. */
  below(limit: number): number;
  /** One of `list`, which is not empty. */
  pick<T>(list: readonly T[]): T;
}

/** The numbers of case `at` of a run (mulberry32). */
export function createRandom(seed: number, at: number): Random {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(at + 1, 0x85ebca6b)) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (limit: number): number => (limit < 1 ? 0 : next() % limit);
  return {
    below,
    pick: (list) => {
      const picked = list[below(list.length)];
      if (picked === undefined) throw new Error('There is nothing to pick from');
      return picked;
    },
  };
}

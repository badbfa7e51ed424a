/** A case whose difference to Docker we keep. */
export interface Kept {
  /** What the comparison says. */
  readonly outcome: readonly string[];
  /** Why that is right. */
  readonly reason: string;
}

/** Differences that are kept, by the case's id. */
export const KEPT: Readonly<Record<string, Kept>> = {};

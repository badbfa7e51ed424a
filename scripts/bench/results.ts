import type { Machine } from './machine.ts';
import type { Sample } from './measure.ts';
import type { PeerName } from './peers/types.ts';
import { summarize, type Summary } from './statistics.ts';

/** What one tool needed for one task. */
export interface Result {
  readonly peer: PeerName;
  readonly wall: Summary;
  readonly cpu: Summary;
  readonly memory: Summary;
}

/** One task: what each tool needed that can do it, and what the work inside needs without a tool. */
export interface TaskResults {
  readonly name: string;
  readonly title: string;
  readonly results: readonly Result[];
  readonly floor?: Omit<Result, 'peer'> & { readonly title: string };
}

/** What `docs/performance.json` holds; the page and the picture are made from it alone. */
export interface Results {
  readonly machine: Machine;
  readonly peers: readonly { readonly name: PeerName; readonly version: string }[];
  readonly tasks: readonly TaskResults[];
  /** What a reader must know of this run beside the figures, as sentences. */
  readonly notes?: readonly string[];
}

/** A tool's samples of one task as medians. */
export function resultOf(peer: PeerName, samples: readonly Sample[]): Result {
  return { peer, ...figuresOf(samples) };
}

/** Medians of some samples. */
export function figuresOf(samples: readonly Sample[]): Omit<Result, 'peer'> {
  const of = (pick: (sample: Sample) => number): Summary => summarize(samples.map(pick));
  return {
    wall: of(({ wall }) => wall),
    cpu: of(({ cpu }) => cpu),
    memory: of(({ memory }) => memory),
  };
}

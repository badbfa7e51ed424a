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

/** What `docs/performance.json` holds; the page and the picture are made from it alone. */
export interface Results {
  readonly machine: Machine;
  readonly peers: readonly { readonly name: PeerName; readonly version: string }[];
  readonly tasks: readonly { readonly name: string; readonly title: string; readonly results: readonly Result[] }[];
}

/** A tool's samples of one task as medians. */
export function resultOf(peer: PeerName, samples: readonly Sample[]): Result {
  const of = (pick: (sample: Sample) => number): Summary => summarize(samples.map(pick));
  return {
    peer,
    wall: of(({ wall }) => wall),
    cpu: of(({ cpu }) => cpu),
    memory: of(({ memory }) => memory),
  };
}

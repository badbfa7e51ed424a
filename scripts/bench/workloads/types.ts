import type { Peer } from '../peers/types.ts';

/** What a workload gets. */
export interface Bench {
  /** An empty folder for its files. */
  readonly folder: string;
  /** `127.0.0.1:5000`. */
  readonly registry: string;
}

/** One line of the report: prepared untimed, then one act timed, once a run and a peer. */
export interface Task {
  /** `W1 cold`: the workload of DESIGN.md section 12 and the case. */
  readonly name: string;
  readonly title: string;
  prepare(peer: Peer, run: number): Promise<void>;
  act(peer: Peer, run: number): Promise<void>;
  /** Clears up before the next peer; untimed. */
  after?(peer: Peer, run: number): Promise<void>;
}

/** Makes the files of a workload and gives its tasks, in their order. */
export type Workload = (bench: Bench) => Promise<readonly Task[]>;

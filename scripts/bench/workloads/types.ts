import type { Peer } from '../peers/types.ts';

/** What a workload gets. */
export interface Bench {
  /** An empty folder for its files. */
  readonly folder: string;
  /** `127.0.0.1:5000`. */
  readonly registry: string;
}

/** One line of the report: prepared untimed, then one act timed, for each sample of a run and a peer. */
export interface Task {
  /** `W1 cold`: the workload of DESIGN.md section 12 and the case. */
  readonly name: string;
  readonly title: string;
  /** How many samples a run gives, one by default: what ends within a second is measured more often than what takes a minute. */
  readonly samples?: number;
  /** `sample` counts on from run to run. */
  prepare(peer: Peer, sample: number): Promise<void>;
  act(peer: Peer, sample: number): Promise<void>;
  /** Leaves out tools that cannot do it on this machine; all can when it is left out. */
  readonly can?: (peer: Peer) => boolean;
  /** What the task takes without any engine, measured once a run: no engine can be faster. */
  readonly floor?: Floor;
  /** Clears up before the next peer; untimed. */
  after?(peer: Peer, run: number): Promise<void>;
}

/** The work inside a task, done in a plain folder. */
export interface Floor {
  readonly title: string;
  /** Untimed; `peer` can unpack images. */
  prepare(peer: Peer): Promise<void>;
  act(): Promise<void>;
}

/** Makes the files of a workload and gives its tasks, in their order. */
export type Workload = (bench: Bench) => Promise<readonly Task[]>;

import type { ArgPair, Instruction, Stage } from '../dockerfile/index.ts';
import type { ContainerConfig, ImageConfig, Platform } from '../image/types.ts';
import type { Env } from './env.ts';
import type { ResolvedStage } from './resolve.ts';
import type { HistoryDraft, VertexId } from './types.ts';

/** A stage while its instructions are applied one after another; each gives a new state. */
export interface StageState {
  readonly stage: Stage;
  /** Name in front of the steps; empty when there is only one stage. */
  readonly label: string;
  readonly platform: Platform;
  /** The platform as names show it; empty when there is only one. */
  readonly shownPlatform: string;
  /** What `--from` means where it is no stage. */
  readonly sources: ResolvedStage['sources'];
  /** The newest vertex. */
  readonly vertex: VertexId;
  /** What RUN sees and words are expanded with: ENV and ARG in the order in which they were set. */
  readonly env: Env;
  /** ARGs that are known, for the history of RUN. */
  readonly args: readonly ArgPair[];
  readonly workdir: string;
  /** A WORKDIR stands in this stage or in one below it. */
  readonly isAnchored: boolean;
  readonly config: ContainerConfig;
  readonly author?: string | undefined;
  readonly base?: ImageConfig | undefined;
  readonly history: readonly HistoryDraft[];
  /** Characters in it. */
  readonly historySize: number;
  /** What EXPOSE adds to the configuration, a list a line: a set of all of them would be made again at every line. */
  readonly ports: readonly (readonly string[])[];
  /** CMD stands in this stage: ENTRYPOINT keeps it. */
  readonly hasCmd: boolean;
  /** Steps named so far, and all there will be. */
  readonly step: number;
  readonly steps: number;
}

/** Whether the instruction is a step: it makes a vertex and is counted in names. */
export function isStep({ kind }: Instruction): boolean {
  return kind === 'run' || kind === 'copy' || kind === 'add' || kind === 'workdir';
}

/** `state` with an entry of metadata in its history. */
export function remember(state: StageState, createdBy: string, change: Partial<StageState> = {}): StageState {
  return { ...state, ...change, history: [...state.history, { createdBy }] };
}

/** `state` with another configuration. */
export function configure(state: StageState, createdBy: string, config: Partial<ContainerConfig>): StageState {
  return remember(state, createdBy, { config: { ...state.config, ...config } });
}

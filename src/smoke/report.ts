import type { SourceLocation } from '../../engine/index.ts';

/** Why a smoke test failed; a workflow can branch on it (smoke-test.md 4.4 rule 5). */
export type ExitReason =
  | 'process-exited'
  | 'oom-killed'
  | 'not-ready'
  | 'loopback-only'
  | 'readiness-lied'
  | 'assertion'
  | 'non-finite'
  | 'not-graceful'
  | 'budget'
  | 'gpu-missing'
  | 'needs-network';

/** One row of the report. */
export interface Check {
  readonly name: string;
  /** `warning` is reported and does not fail; `untested` could not be tested for want of an example; `skipped` came after a failure. */
  readonly status: 'passed' | 'failed' | 'warning' | 'untested' | 'skipped';
  readonly milliseconds?: number | undefined;
  /** Set when it failed. */
  readonly reason?: ExitReason | undefined;
  /** What was seen, in a line. */
  readonly summary?: string | undefined;
  readonly hint?: string | undefined;
  readonly failure?: Failure | undefined;
  /** The place in the user's file that it comes from. */
  readonly location?: SourceLocation | undefined;
}

/** Everything that a person needs to see why (rule 3). Control characters are escaped, secrets masked, lengths bounded. */
export interface Failure {
  /** Expected against got, a sentence each. */
  readonly problems: readonly string[];
  /** The request as a command to copy. */
  readonly curl?: string | undefined;
  readonly status?: number | undefined;
  /** The first 2 KB of the answer. */
  readonly body?: string | undefined;
  /** The container's last 50 lines since that request; undefined where nothing was running. */
  readonly log?: readonly string[] | undefined;
}

/** What a smoke test found. */
export interface SmokeReport {
  /** The image was not started: it passed the same test before, there. What follows was found then. */
  readonly passedIn?: string | undefined;
  /** `untested`: nothing could be tested; `off`: nothing was asked for. */
  readonly verdict: 'passed' | 'failed' | 'untested' | 'off';
  /** The first failure's. */
  readonly exitReason?: ExitReason | undefined;
  readonly checks: readonly Check[];
  /** From the start of the process to its first ready answer. */
  readonly readySeconds?: number | undefined;
  /** To the first byte that the port answered. */
  readonly firstByteSeconds?: number | undefined;
  /** Where readiness was found. */
  readonly ready?: { readonly port: number; readonly path: string } | undefined;
  readonly firstPredictMs?: number | undefined;
  readonly secondPredictMs?: number | undefined;
  /** 95th percentile of the predicts, where there are 20 or more. */
  readonly p95Ms?: number | undefined;
  /** Where the container was reached while it ran. */
  readonly baseUrl?: string | undefined;
  /** What the container wrote to its root. */
  readonly written?: Written | undefined;
  readonly memoryPeak?: { readonly bytes: number; readonly source: string } | undefined;
  /** Bytes of the compressed layers, or of the plain ones where there are no blobs. */
  readonly imageSize?: number | undefined;
  readonly shutdown?: ShutdownResult | undefined;
}

/** Paths that a container wrote, the tops of them. */
export interface Written {
  /** Files and folders. */
  readonly count: number;
  readonly paths: readonly string[];
}

/** How the container ended. */
export interface ShutdownResult {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly seconds: number;
  /** SIGKILL was needed. */
  readonly forced: boolean;
}

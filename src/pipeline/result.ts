import type { BuildResult, Digest, PushResult, VertexEvent } from '../../engine/index.ts';
import type { ExitReason, SmokeReport } from '../smoke/index.ts';
import type { PassKey } from './passed.ts';

/** The steps of the pipeline, in their order. */
export type StepName = 'check' | 'build' | 'smoke' | 'push' | 'compare';

/** Why a pipeline failed: a smoke test's exit reason, or the step that threw. */
export type PipelineExitReason =
  | ExitReason
  | 'invalid-request'
  | 'build-failed'
  | 'test-failed-to-run'
  | 'push-failed'
  | 'digest-mismatch'
  | 'hand-over-failed';

/** What came of it; a failure is a result, so that everything that is known can be reported. */
export interface PipelineResult {
  readonly ok: boolean;
  /** Set when not ok. */
  readonly exitReason?: PipelineExitReason | undefined;
  readonly failedStep?: StepName | undefined;
  /** What the engine threw, with its code, hint and place. A failed smoke test has none: its report says it. */
  readonly error?: unknown;
  readonly build?: BuildResult | undefined;
  /** Nothing was built: the image was given. */
  readonly given: boolean;
  readonly smoke?: SmokeReport | undefined;
  /** File of the JUnit report, as the smoke test names it. */
  readonly junit?: string | undefined;
  /** What a pass of this image can be remembered by; undefined when the test was off. */
  readonly passKey?: PassKey | undefined;
  /** Digest of the manifest that was built, and tested unless the test was off; of an index, of the image in it for this machine. */
  readonly testedDigest?: Digest | undefined;
  readonly pushes: readonly PushResult[];
  /** Digest that every push gave, which is the one that was built; of an index, its own. */
  readonly pushedDigest?: Digest | undefined;
  /** Milliseconds of the whole. */
  readonly milliseconds: number;
  /** Every vertex that ended, in the order in which they began. */
  readonly timeline: readonly VertexEvent[];
}

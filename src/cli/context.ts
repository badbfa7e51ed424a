import type { Engine, EngineOptions } from '../../engine/index.ts';
import type { FlagContext } from './flags.ts';
import type { Writer } from './output.ts';

/** What a command works with; the only place that knows the process. */
export interface Context extends FlagContext {
  /** Words after `berth`. */
  readonly argv: readonly string[];
  /** All variables, for a command of the user's. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: Writer;
  readonly stderr: Writer;
  /** Aborted by SIGINT, SIGTERM and a reader that has gone. */
  readonly signal: AbortSignal;
  /** NO_COLOR is set. */
  readonly plain: boolean;
  /** While set, signals go there instead of aborting: `run` hands them to its container. */
  readonly signals: { handler: ((name: NodeJS.Signals) => void) | undefined };
  /** `--config`: counts before DOCKER_CONFIG. */
  readonly configFolder?: string;
  /** The engine, made on first use and closed at the end; `overrides` count on first use. */
  readonly engine: (overrides?: Overrides) => Promise<Engine>;
  /** Sets the exit code of the error that is about to be thrown. */
  readonly fail: (exitCode: number) => void;
}

/** What a command line says about its engine, beside the environment. */
export interface Overrides extends Pick<EngineOptions, 'buildCa'> {
  /** Counts before DOCKER_CONFIG. */
  readonly configFolder?: string;
}

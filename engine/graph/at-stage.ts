import { isEngineError } from '../base/errors.ts';
import { DockerfileError, where, type Stage, type Stages } from '../dockerfile/index.ts';

/** An error of the engine with the line of FROM; its code and hint stay. Anything else as it is. */
export function atStage(source: Stages, stage: Stage, error: unknown): unknown {
  if (!isEngineError(error) || error instanceof DockerfileError) return error;
  const message = `${error.message} (${where(source.ast, stage)})`;
  return new DockerfileError(error.code, message, source.ast, stage, { hint: error.hint, cause: error });
}

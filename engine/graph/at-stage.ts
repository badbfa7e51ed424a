import { isEngineError } from '../base/errors.ts';
import { DockerfileError, where, type Range, type Stages } from '../dockerfile/index.ts';

/** An error of the engine with the line of FROM or COPY; its code stays, and its hint unless there is a better one. Anything else as it is. */
export function atStage(source: Stages, place: Range, error: unknown, hint?: string): unknown {
  if (!isEngineError(error) || error instanceof DockerfileError) return error;
  const message = `${error.message} (${where(source.ast, place)})`;
  return new DockerfileError(error.code, message, source.ast, place, { hint: hint ?? error.hint, cause: error });
}

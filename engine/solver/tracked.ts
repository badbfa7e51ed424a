import { EngineError } from '../base/errors.ts';
import type { Vertex } from '../graph/types.ts';
import { commentHint } from './ops/comment.ts';

/** Waits for work of a step. */
export type Tracked = <T>(vertex: Vertex, work: Promise<T>) => Promise<T>;

/** Work whose failure cancels the rest; its error gets the step's place. */
export function createTracked(signal: AbortSignal, fail: (error: unknown) => void): Tracked {
  return async (vertex, work) => {
    try {
      return await work;
    } catch (error) {
      const placed = signal.aborted ? error : placeOn(vertex, error);
      fail(placed);
      throw placed;
    }
  };
}

function placeOn(vertex: Vertex, error: unknown): unknown {
  if (!(error instanceof EngineError) || error.vertex !== undefined || error.location !== undefined) return error;
  const { code, message } = error;
  // A word of a comment is not there, or makes a file of what several sources are to be put into.
  const isAboutWords = code === 'COPY_SOURCE_NOT_FOUND' || code === 'NATIVE_INVALID';
  const hint = (isAboutWords ? commentHint(vertex.op) : undefined) ?? error.hint;
  return new EngineError(code, message, { hint, cause: error, location: vertex.location, vertex: vertex.id });
}

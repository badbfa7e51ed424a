import type { OnEvent, VertexEvent } from '../../engine/index.ts';

/** Keeps the vertices that pass by, for the timeline. */
export interface Recorder {
  readonly onEvent: OnEvent;
  milliseconds(): number;
  /** Vertices that ended, in the order in which they began. */
  timeline(): readonly VertexEvent[];
}

/** A recorder that hands every event on to `next`. */
export function createRecorder(next: OnEvent | undefined): Recorder {
  const begun = performance.now();
  const vertices = new Map<string, VertexEvent>();
  return {
    onEvent: (event) => {
      if (event.type === 'vertex') vertices.set(event.id, { ...vertices.get(event.id), ...event });
      next?.(event);
    },
    milliseconds: () => performance.now() - begun,
    timeline: () =>
      [...vertices.values()]
        .filter(
          ({ started, completed, cached }) => (started !== undefined && completed !== undefined) || cached === true,
        )
        .sort((a, b) => (a.started ?? 0) - (b.started ?? 0)),
  };
}

import type { ActOptions } from '../base/progress.ts';

/** How an act on snapshots reports: bytes move inside `vertex`. */
export interface SnapshotOptions extends ActOptions {
  readonly vertex?: string | undefined;
}

/** Makes what tells how far something named has come; nobody hears of what belongs to no vertex. */
export function reporter(
  { onEvent, vertex }: SnapshotOptions,
  name: string,
): (current: number, total?: number, completed?: number) => void {
  return (current, total, completed) => {
    if (vertex !== undefined) onEvent?.({ type: 'status', vertex, name, current, total, completed });
  };
}

import { EngineError } from '../base/errors.ts';
import type { AssembledLayer, HistoryStep } from './assemble.ts';
import type { History, ImageConfig } from './types.ts';

/** What BuildKit writes beside the entries of a Dockerfile. */
const COMMENT = 'buildkit.dockerfile.v0';

/**
 * The base's history and the steps on top of it. A step that made no layer takes the time of the entry before it. A base that tells nothing
 * of its layers gets one entry for each, so that entries and layers still match.
 *
 * @param created no entry is later (SOURCE_DATE_EPOCH)
 * @throws `IMAGE_INVALID` when steps and layers don't match, which is a fault of the caller
 */
export function continueHistory(
  base: ImageConfig | undefined,
  steps: readonly HistoryStep[],
  layers: readonly (AssembledLayer | null)[],
  created: string | undefined,
): readonly History[] {
  const history: History[] = [...baseHistory(base)];
  let time = history.at(-1)?.created ?? base?.created;
  let next = 0;
  for (const step of steps) {
    const layer = step.vertex === undefined ? null : layerAt(layers, next++);
    time = layer?.createdAt ?? time;
    history.push(entryOf(step, time, layer === null));
  }
  if (next !== layers.length) throw mismatch(next, layers.length);
  return created === undefined ? history : history.map((entry) => notAfter(entry, created));
}

/** The latest of some RFC 3339 times, as it was written; undefined for none. */
export function newest(times: readonly string[]): string | undefined {
  return times.reduce<string | undefined>(
    (best, time) => (best === undefined || Date.parse(time) > Date.parse(best) ? time : best),
    undefined,
  );
}

function baseHistory(base: ImageConfig | undefined): readonly History[] {
  if (base === undefined) return [];
  if (base.history !== undefined && base.history.length > 0) return base.history;
  const entry: History = {
    ...(base.created === undefined ? {} : { created: base.created }),
    comment: 'layer of the base image',
  };
  return base.rootfs.diff_ids.map(() => entry);
}

function entryOf({ createdBy }: HistoryStep, created: string | undefined, isEmpty: boolean): History {
  return {
    ...(created === undefined ? {} : { created }),
    created_by: createdBy,
    comment: COMMENT,
    ...(isEmpty ? { empty_layer: true } : {}),
  };
}

function notAfter(entry: History, created: string): History {
  const isEarlier = entry.created !== undefined && Date.parse(entry.created) <= Date.parse(created);
  return isEarlier ? entry : { ...entry, created };
}

function layerAt(layers: readonly (AssembledLayer | null)[], index: number): AssembledLayer | null {
  const layer = layers[index];
  if (layer === undefined) throw mismatch(index + 1, layers.length);
  return layer;
}

function mismatch(steps: number, layers: number): EngineError {
  return new EngineError(
    'IMAGE_INVALID',
    `Cannot assemble the image: ${steps} steps make files, and ${layers} layers were given`,
  );
}

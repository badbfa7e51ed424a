import { isDigest } from '../image/digest.ts';
import { isRecord } from './files.ts';
import type { CacheRecord, Lineage } from './types.ts';

/** Whether a value says what RUNs gave: keys, and layers or null. */
export function isLineage(value: unknown): value is Lineage {
  return (
    isRecord(value) &&
    Object.entries(value).every(([key, layer]) => isDigest(key) && (layer === null || isDigest(layer)))
  );
}

/** Those that only say that a step took files from a stage, and that no record of such a step names: they have no use. */
export function orphanTraces<R extends CacheRecord>(records: readonly R[]): readonly R[] {
  const named = new Set(records.flatMap(({ traces = [] }) => traces));
  return records.filter(({ key, op }) => isTrace(op) && !named.has(key));
}

function isTrace(op: unknown): boolean {
  return isRecord(op) && op['type'] === 'trace';
}

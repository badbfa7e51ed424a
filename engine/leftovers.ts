import { closeSync, openSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import { listFolder } from './store/index.ts';

const MARKER = 'act-';

/** An act on the store: it hears warnings, what killed acts left is collected before it, and nothing is pruned while it runs. */
export async function withStore<T>(parts: Parts, options: ActOptions, act: () => Promise<T>): Promise<T> {
  const locked = (): Promise<T> => parts.store.locks.with('store', 'shared', act, options);
  return await parts.withWarnings(options.onEvent, () => withMarker(parts, options, locked));
}

/**
 * Runs `act` with a marker in `run/`. A marker that is there already is of an act that runs now, or of one that was killed; in the second case
 * nobody holds the lock `store`, and what it left (uppers, half written files) is collected first (DESIGN.md 4, "Life and death").
 */
async function withMarker<T>(parts: Parts, options: ActOptions, act: () => Promise<T>): Promise<T> {
  const folder = join(parts.store.root, 'run');
  const found = listFolder(folder).filter((name) => name.startsWith(MARKER));
  if (found.length > 0) await parts.store.locks.ifFree('store', () => collect(parts, folder, found, options));
  // As good as nobody else has both numbers, and without `node:crypto` a command begins sooner.
  const marker = join(folder, `${MARKER}${process.pid}-${process.hrtime.bigint()}`);
  closeSync(openSync(marker, 'wx'));
  try {
    return await act();
  } finally {
    rmSync(marker, { force: true });
  }
}

async function collect(parts: Parts, folder: string, markers: readonly string[], options: ActOptions): Promise<void> {
  // Where no rung is possible there are no uppers either, and the act itself says so if it needs one.
  const helper = await parts.machine(options).then(
    (machine) => machine.helper,
    () => undefined,
  );
  if (!helper) return;
  const args = { snapshots: [], containers: [], force: false, garbage: true };
  const { warnings } = await helper.call('remove', args, { signal: options.signal });
  for (const message of warnings) options.onEvent?.({ type: 'warning', message });
  const ingest = join(parts.store.root, 'ingest');
  for (const name of listFolder(ingest)) await rm(join(ingest, name), { recursive: true, force: true });
  for (const name of markers) await rm(join(folder, name), { force: true });
}

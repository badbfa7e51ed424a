import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { ActOptions } from '../../base/progress.ts';
import { mountLock } from '../../cache/index.ts';
import type { CacheMount, ExecMount } from '../../graph/types.ts';
import { literal } from '../../graph/path.ts';
import type { Digest } from '../../image/types.ts';
import type { BuildSource } from '../../native/protocol.ts';
import type { Snapshots } from '../../store/snapshots.ts';
import type { Lender, LentStep } from './lend.ts';
import { newUpper } from './upper.ts';

/** The folder of a cache, for the helper. */
export type CacheSource = Extract<BuildSource, { readonly kind: 'cache' }>;

type Step = LentStep & { readonly mounts: readonly ExecMount[] };

/**
 * Has `act` run while the caches of the step are its own, or shared, as each asks for: `locked` waits for the others, `private` takes another
 * folder when somebody has the first one, `shared` goes beside the others.
 */
export async function withCaches<T>(
  parts: { readonly snapshots: Snapshots; readonly lender: Lender },
  step: Step,
  borrowed: { readonly uppers: string[] },
  options: ActOptions,
  act: (cacheOf: (mount: ExecMount) => CacheSource) => Promise<T>,
): Promise<T> {
  const caches = step.mounts.filter((mount) => mount.type === 'cache');
  const names = new Map<ExecMount, string>();
  const sources = new Map<ExecMount, CacheSource>();
  const begin = async (): Promise<T> => {
    for (const mount of caches) {
      const name = names.get(mount) ?? nameOf(step, mount);
      await parts.lender.caches.bring({ name, id: mount.id }, options);
      if (!mount.readonly) parts.lender.caches.mounted(step.vertex.id, { name, id: mount.id });
      const folder = parts.lender.caches.folderOf(name);
      sources.set(mount, await sourceOf(parts.snapshots, step, { mount, name: folder }, borrowed, options));
    }
    return await act((mount) => sources.get(mount) ?? unknown());
  };
  const shared = groups(
    caches.filter(({ sharing }) => sharing !== 'private'),
    step,
  );
  const privately = caches
    .filter(({ sharing }) => sharing === 'private')
    .reduceRight<() => Promise<T>>(
      (next, mount) => () =>
        withPrivate(parts.lender, nameOf(step, mount), async (name) => {
          names.set(mount, name);
          return await next();
        }),
      begin,
    );
  // In the order of their names, so that two steps never wait for each other.
  return await shared.reduceRight<() => Promise<T>>(
    (next, { name, mode }) =>
      () =>
        parts.lender.locks.with(mountLock(parts.lender.caches.folderOf(name)), mode, next, { signal: options.signal }),
    privately,
  )();
}

function groups(
  mounts: readonly CacheMount[],
  step: Step,
): readonly { readonly name: string; readonly mode: 'shared' | 'exclusive' }[] {
  const names = [...new Set(mounts.map((mount) => nameOf(step, mount)))].sort();
  return names.map((name) => {
    const isLocked = mounts.some((mount) => mount.sharing === 'locked' && nameOf(step, mount) === name);
    return { name, mode: isLocked ? 'exclusive' : 'shared' };
  });
}

/** The first name of that kind whose folder nobody uses. */
async function withPrivate<T>({ locks, caches }: Lender, name: string, act: (name: string) => Promise<T>): Promise<T> {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    const done = await locks.ifFree(mountLock(caches.folderOf(candidate)), async () => ({
      result: await act(candidate),
    }));
    if (done) return done.result;
  }
}

/** A cache is known by its id, what it begins with, and who owns it; the id of a stranger's Dockerfile is never part of a path. */
function nameOf({ inputs }: Step, { id, input, source, mode, uid, gid }: CacheMount): string {
  const begins = input === undefined ? null : { layers: inputs.get(input) ?? [], source };
  const parts = { v: 1, id, begins, mode: mode ?? null, uid: uid ?? null, gid: gid ?? null };
  return createHash('sha256')
    .update(canonicalize(parts) ?? '')
    .digest('hex');
}

/** The folder, with what it begins with when it is not there yet. */
async function sourceOf(
  snapshots: Snapshots,
  { vertex, inputs }: Step,
  { mount, name }: { readonly mount: CacheMount; readonly name: string },
  { uppers }: { readonly uppers: string[] },
  options: ActOptions,
): Promise<CacheSource> {
  const { input, source, mode, uid, gid } = mount;
  const owner = uid === undefined && gid === undefined ? null : { uid: uid ?? 0, gid: gid ?? 0 };
  const common = { kind: 'cache', name, mode: mode ?? null, owner } as const;
  if (input === undefined) return { ...common, path: source, initial: null };
  const layers: readonly Digest[] = inputs.get(input) ?? [];
  if (layers.length === 0 || (await snapshots.cacheMounts()).has(name)) return { ...common, path: '/', initial: null };
  const initial = newUpper();
  uppers.push(initial);
  await snapshots.fill(initial, layers, literal(source), { ...options, vertex: vertex.id });
  return { ...common, path: '/', initial };
}

function unknown(): never {
  throw new Error('A cache is mounted that was not asked for');
}

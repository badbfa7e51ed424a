import { join } from 'node:path';
import {
  isEngineError,
  messageOf,
  type ActOptions,
  type CacheIndex,
  type Digest,
  type Engine,
  type Fetcher,
} from '../../engine/index.ts';
import type { PassedBefore, PipelineResult } from '../pipeline/index.ts';
import type { CacheSettings } from './cache-input.ts';
import type { CacheDocument } from './cache/document.ts';
import { createCacheHttp, type CacheHttp, type HttpLimits, type ProxySettings } from './cache/http.ts';
import { scopeId, type Compression } from './cache/names.ts';
import { findPass, passOf, withPass, type PassRecord } from './cache/passes.ts';
import { leftOutMounts, leftOutText } from './cache/left-out.ts';
import { planSave, type SavePlan } from './cache/plan.ts';
import { isTrusted, mayWrite, type CacheAccess } from './cache/policy.ts';
import { restoreIndex, type RestoreParts } from './cache/restore.ts';
import { createCacheService } from './cache/service.ts';
import { createCacheSource, type CacheSource } from './cache/source.ts';
import type { RunnerContext } from './environment.ts';

/**
 * The Actions cache as a home of records and layers (DESIGN.md 6). No method throws but for the job's own cancellation: a fault of the cache
 * is a warning, and the build goes on without it.
 */
export interface ActionsCache {
  /** The engine's source of layers that `restore` promised. */
  readonly source: Fetcher;
  /** Names what belongs together in the cache. */
  readonly scope: string;
  /** Finds the newest index and the entries that are still there; loads no layer. @param scope another one than this build's */
  restore(engine: CacheEngine, signal: AbortSignal, scope?: string): Promise<RestoreReport>;
  /** After a `CACHE_BLOB_LOST`: makes those layers misses, but for those that a registry has. @returns false when there is nothing to forget, and so no use in building again */
  forgetLost(engine: CacheEngine, act?: ActOptions): Promise<boolean>;
  /** Whether an image passed before; `engine` names bundle, helper and isolation. */
  passedBefore(engine: string): PassedBefore;
  /** Keeps that an image passed, for `plan`. */
  remember(result: PipelineResult, engine: string, now: Date): void;
  /** What the post step is to save. Packs what steps have left in their cache mounts. */
  plan(engine: CacheEngine, now: Date, act?: ActOptions): Promise<PlanReport>;
  figures(): { readonly blobs: number; readonly bytes: number };
  close(): Promise<void>;
}

/** The part of the engine that it works with. */
export type CacheEngine = Pick<Engine, 'cache'>;

/** What was found, for the log and the summary. */
export interface RestoreReport {
  readonly state: 'off' | 'miss' | 'hit';
  /** Why it is off, or what came of it, as a sentence without a period. */
  readonly text: string;
  readonly layers: number;
}

export interface PlanReport {
  readonly plan: SavePlan | undefined;
  readonly text: string;
}

export interface ActionsCacheOptions {
  readonly access: CacheAccess;
  readonly settings: CacheSettings;
  readonly runner: RunnerContext;
  /** Context, Dockerfile, target and platform: they name the scope unless the settings do. */
  readonly scopeParts: readonly string[];
  readonly compressions: readonly [Compression, ...Compression[]];
  readonly proxies: ProxySettings;
  readonly limits?: HttpLimits | undefined;
  /** An index that is not signed with it is as good as none. */
  readonly signingKey?: string | undefined;
  /** Bytes that one scope may take. */
  readonly maxSize: number;
  /** Contents of `RUN --mount=type=cache` are restored and saved too. */
  readonly mounts: boolean;
  /** Names that the image is pushed under: their repositories may have layers that the cache has lost. */
  readonly names: readonly string[];
  readonly engineVersion: string;
  /** Folder of the job for what is on its way. */
  readonly folder: string;
  readonly warn: (message: string) => void;
  readonly mask: (values: readonly string[]) => void;
}

/** Time for the index and the look-ups, in milliseconds. */
const RESTORE_TIME = 60_000;
/** Time to ask registries for lost layers. */
const SERVED_TIME = 10_000;

export function createActionsCache(options: ActionsCacheOptions): ActionsCache {
  const { access, settings, runner } = options;
  const scope = scopeId(settings.scope === undefined ? options.scopeParts : ['named', settings.scope]);
  const stopped = new AbortController();
  let http: CacheHttp | undefined;
  let restored: CacheDocument | undefined;
  let source: CacheSource | undefined;
  let faulty = false;
  let passed: PassRecord | undefined;

  const parts = (endpoint: Extract<CacheAccess, { kind: 'service' }>['endpoint']): RestoreParts => {
    http ??= createCacheHttp(options.proxies, options.limits);
    return {
      http,
      service: createCacheService(http, endpoint, options.mask),
      compressions: options.compressions,
      signingKey: options.signingKey,
    };
  };
  const load = async (
    restoreParts: RestoreParts,
    engine: CacheEngine,
    wanted: string,
    { signal, budget }: { readonly signal: AbortSignal; readonly budget: AbortSignal },
  ): Promise<RestoreReport> => {
    const document = await restoreIndex(restoreParts, wanted, budget);
    if (!document) return { state: 'miss', text: 'no cache of this build yet', layers: 0 };
    if (!isTrusted(document.provenance, runner)) {
      return {
        state: 'miss',
        text: `the cache was written by a ${document.provenance.event} run, which a release does not trust`,
        layers: 0,
      };
    }
    source = await createCacheSource(restoreParts, document.entries, {
      folder: join(options.folder, 'packs'),
      warn: options.warn,
      signal: stopped.signal,
    });
    restored = document;
    const { available } = source;
    const { records, layers } = await engine.cache.import(document.index, available);
    const mounts = options.mounts ? engine.cache.mounts.import(document.mounts, available) : 0;
    const missing = document.index.layers.filter(({ blob }) => !available.has(blob.digest));
    const served = await findServed(engine, missing, { signal });
    const gone = missing.length - served;
    const known = [
      `${records} steps and ${layers} layers known from run ${document.provenance.runId}`,
      ...(mounts > 0 ? [`${mounts} cache mounts`] : []),
      ...(served > 0 ? [`${served} layers gone from the cache and there in the registry`] : []),
      ...(gone > 0 ? [`${gone} gone`] : []),
    ];
    return { state: 'hit', text: known.join(', '), layers: layers + served };
  };
  /** Layers that the cache has lost, and that a repository which this image is pushed to has. One that cannot be asked has none. */
  const findServed = async (
    engine: CacheEngine,
    layers: CacheIndex['layers'],
    { signal }: ActOptions,
  ): Promise<number> => {
    const until = Date.now() + SERVED_TIME;
    let served = 0;
    for (const name of layers.length === 0 ? [] : new Set(options.names.map(withoutTag))) {
      const time = until - Date.now();
      if (time <= 0) break;
      try {
        served = Math.max(served, await engine.cache.served(layers, name, { signal, time }));
      } catch {
        // It saves steps, and is no reason to do without the cache.
        signal?.throwIfAborted();
      }
    }
    return served;
  };
  const plan = async (engine: CacheEngine, now: Date, act: ActOptions): Promise<PlanReport> => {
    const answer = mayWrite(settings, runner);
    if (!answer.yes) return { plan: undefined, text: `not saved: ${answer.why}` };
    if (access.kind === 'none' || !access.writable)
      return { plan: undefined, text: 'not saved: the job may not write' };
    if (faulty) return { plan: undefined, text: 'not saved: the service does not answer' };
    const available = source?.available ?? new Set<Digest>();
    const mounts = options.mounts
      ? await engine.cache.mounts.export(now, { ...act, available, maxSize: options.maxSize })
      : undefined;
    const made = planSave(await engine.cache.export(now), {
      scope,
      compression: options.compressions[0],
      provenance: {
        repository: runner.repository,
        ref: runner.ref,
        event: runner.eventName,
        sha: runner.sha,
        runId: runner.runId,
        engine: options.engineVersion,
      },
      restored,
      available,
      mounts,
      passes: withPass(restored?.passes ?? [], passed),
      maxSize: options.maxSize,
      now,
    });
    if (!made) return { plan: undefined, text: `nothing new to save${leftOutText(leftOutMounts(mounts))}` };
    return { plan: made, text: `${made.uploads.length} new entries to save${leftOutText(made.leftOut)}` };
  };

  return {
    scope,
    source: {
      fetch: async function* (descriptor, how) {
        if (!source) throw new Error('The cache has promised no layer');
        yield* source.fetch(descriptor, how);
      },
    },
    restore: async (engine, signal, other) => {
      if (!settings.read) return { state: 'off', text: 'reading is switched off', layers: 0 };
      if (access.kind === 'none') return { state: 'off', text: access.why, layers: 0 };
      if (!access.readable) return { state: 'off', text: 'the job may not read it', layers: 0 };
      try {
        const budget = AbortSignal.any([
          signal,
          AbortSignal.timeout(options.limits ? options.limits.idle * 3 : RESTORE_TIME),
        ]);
        return await load(parts(access.endpoint), engine, other ?? scope, { signal, budget });
      } catch (error) {
        signal.throwIfAborted();
        if (isEngineError(error) && error.code === 'CACHE_UNSIGNED') {
          options.warn(error.message);
          return { state: 'miss', text: 'its index is not signed with cache-signing-key', layers: 0 };
        }
        // A service that limits or does not answer is left alone for the rest of the job.
        faulty = true;
        options.warn(`The cache is not used: ${messageOf(error)}`);
        return { state: 'miss', text: 'it could not be read', layers: 0 };
      }
    },
    forgetLost: async (engine, act = {}) => {
      const mounts = new Set(restored?.mounts.map(({ blob }) => blob.digest));
      const lost = new Set([...(source?.takeLost() ?? [])].filter((digest) => !mounts.has(digest)));
      if (lost.size === 0) return false;
      await engine.cache.forget(lost);
      await findServed(engine, restored?.index.layers.filter(({ blob }) => lost.has(blob.digest)) ?? [], act);
      return true;
    },
    passedBefore: (engine) => (key) => findPass(restored?.passes ?? [], key, engine),
    remember: (result, engine, now) => {
      passed = passOf(result, { engine, runId: runner.runId, at: now.toISOString() }) ?? passed;
    },
    plan: async (engine, now, act = {}) => {
      try {
        return await plan(engine, now, act);
      } catch (error) {
        act.signal?.throwIfAborted();
        options.warn(`The cache is not saved: ${messageOf(error)}`);
        return { plan: undefined, text: 'not saved' };
      }
    },
    figures: () => source?.figures() ?? { blobs: 0, bytes: 0 },
    close: async () => {
      stopped.abort();
      await http?.close();
    },
  };
}

/** The repository of a name; what follows its last slash is name and tag, a port stands before it. */
function withoutTag(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
}

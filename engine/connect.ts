import { join } from 'node:path';
import { EngineError, isEngineError } from './base/errors.ts';
import { once } from './base/once.ts';
import type { ActOptions } from './base/progress.ts';
import { CACHE_PLACE, createMountLedger, trackRecords, type MountLedger, type TrackedRecords } from './cache/index.ts';
import type { EngineOptions } from './engine.ts';
import { hostPlatform } from './host-platform.ts';
import type { Digest, Fetcher } from './image/types.ts';
import { createKeyring, type Keyring, withKeyring } from './keyring.ts';
import { folderOfPlace, layoutFetcher } from './layout-place.ts';
import {
  createLauncher,
  createMachineProbe,
  createSeriesHelper,
  createUserHelper,
  type Helper,
  type Isolation,
} from './native/index.ts';
import { createRegistry, type Registry } from './registry/index.ts';
import { createSnapshots, openLayout, openStore, type FetchBlob, type Snapshots, type Store } from './store/index.ts';

/** The helper for snapshots and processes, and what was found out about this machine. */
export interface Machine {
  readonly isolation: Isolation;
  readonly helper: Helper;
}

/** What all acts of one engine share. */
export interface Parts {
  readonly options: EngineOptions;
  readonly store: Store & { readonly records: TrackedRecords };
  /** What is known of cache mounts outside this machine, and what steps did with theirs. */
  readonly mounts: MountLedger;
  readonly registry: Registry;
  readonly keyring: Keyring;
  /** Where the bytes of a layer can be read that a place of its sources serves: a repository, or the cache outside this machine. */
  readonly serve: (place: string) => Fetcher;
  /** The bytes of a layer's blob from the first of some places that gives them. */
  readonly fetchBlob: FetchBlob;
  /** A helper as the caller, without an id map: for files of this machine. */
  readonly hostHelper: Helper;
  /** Chooses the rung on its first call, by what an earlier command found or by a probe. @throws `ISOLATION_IMPOSSIBLE` */
  readonly machine: (options?: ActOptions) => Promise<Machine>;
  /** What is possible here now. @throws `ISOLATION_IMPOSSIBLE` */
  readonly probe: (options?: ActOptions) => Promise<Isolation>;
  /** The helper of {@link machine}; where no rung is possible one as the caller, who may look at the store and clear it up, and run nothing. */
  readonly helperToLook: (options?: ActOptions) => Promise<Helper>;
  /** A helper that is never elevated: it locks, and writes files of the user's. */
  readonly userHelper: Helper;
  /** Snapshots for the time of one act. */
  readonly snapshots: (options?: ActOptions) => Promise<Snapshots>;
  /** Lets `act` hear of store records and registry messages that deserve a warning, each once. */
  readonly withWarnings: <T>(onEvent: ActOptions['onEvent'], act: () => Promise<T>) => Promise<T>;
  /** Ends the helpers that wait for work, and gives back connections and locks. */
  readonly close: () => Promise<void>;
}

/** Opens store and clients. Nothing is probed and no helper runs until something needs it. */
export async function connect(options: EngineOptions): Promise<Parts> {
  const warnings = createWarnings();
  const place = await openLayout(options.root);
  const kept = join(place.root, 'run', 'helper.json');
  const launcher = createLauncher({ path: options.helper, sha256: options.helperSha256, kept }, options.sudo);
  const userHelper = createUserHelper(launcher, place);
  const opened = openStore(place, {
    lockHelper: userHelper,
    host: hostPlatform(),
    scope: options.cacheScope,
    onWarning: (message) => warnings.emit({ type: 'warning', message }),
  });
  const store = { ...opened, records: trackRecords(opened.records, options.cacheScope) };
  const keyring = createKeyring(userHelper);
  const credentials = options.keyring ? withKeyring(options.credentials, keyring) : options.credentials;
  const registry = createRegistry({ ...options, credentials, onEvent: warnings.emit });
  const serve = createServe(registry, options.cacheSource);
  const fetchBlob = createFetchBlob(serve);
  const { find, probe, watch } = createMachineProbe(options, { launcher, store: place });
  const closing: (() => Promise<void>)[] = [];
  const machine = once(async (act: ActOptions = {}): Promise<Machine> => {
    const started = find(act).then((isolation) => {
      const helper = createSeriesHelper(launcher, { store: place, ...isolation }, userHelper.isAsked);
      closing.push(helper.close);
      return { isolation, helper };
    });
    userHelper.expect(started.then(async ({ helper }) => await helper.locks));
    const { isolation, helper } = await started;
    return { isolation, helper: watch(helper) };
  });
  return {
    options: { ...options, credentials },
    store,
    mounts: createMountLedger(),
    keyring,
    registry,
    serve,
    hostHelper: userHelper,
    fetchBlob,
    machine,
    probe: async (act) => await probe(act),
    helperToLook: async (act) => {
      try {
        return (await machine(act)).helper;
      } catch (error) {
        if (!isEngineError(error, 'ISOLATION_IMPOSSIBLE')) throw error;
        return userHelper;
      }
    },
    userHelper,
    snapshots: async (act) => createSnapshots(store, (await machine(act)).helper, fetchBlob),
    withWarnings: warnings.during,
    close: async () => {
      await Promise.all([...closing.map((close) => close()), registry.close(), store.close()]);
    },
  };
}

function createServe(registry: Registry, cacheSource: Fetcher | undefined): Parts['serve'] {
  return (place) => {
    const folder = folderOfPlace(place);
    if (folder !== undefined) return layoutFetcher(folder);
    if (place !== CACHE_PLACE) return registry.repository(place);
    if (cacheSource) return cacheSource;
    throw new EngineError(
      'CACHE_BLOB_LOST',
      'Cannot read a layer: it lies in the cache of the job, which is not here',
      {
        hint: 'Build the image again',
      },
    );
  };
}

/** Asks the places that are known to serve a blob, one after the other; the last one's error counts. */
function createFetchBlob(serve: Parts['serve']): FetchBlob {
  return async function* (blob, sources, { signal }) {
    for (const [at, source] of sources.entries()) {
      let begun = false;
      try {
        for await (const chunk of serve(source).fetch(blob, { signal })) {
          begun = true;
          yield chunk;
        }
        return;
      } catch (error) {
        // Bytes that went out cannot be taken back.
        if (begun || at === sources.length - 1) throw error;
      }
    }
  };
}

type Emit = NonNullable<ActOptions['onEvent']>;

function createWarnings(): { readonly emit: Emit; readonly during: Parts['withWarnings'] } {
  const listeners = new Set<{ readonly onEvent: Emit; readonly said: Set<string> }>();
  return {
    emit: (event) => {
      if (event.type !== 'warning') return;
      for (const { onEvent, said } of listeners) {
        if (said.has(event.message)) continue;
        said.add(event.message);
        onEvent(event);
      }
    },
    during: async (onEvent, act) => {
      if (!onEvent) return await act();
      const listener = { onEvent, said: new Set<string>() };
      listeners.add(listener);
      try {
        return await act();
      } finally {
        listeners.delete(listener);
      }
    },
  };
}

/** Places that serve each blob of some layers: `registry/repository`, or the outer cache. */
export async function sourcesOf(
  store: Store,
  diffIds: readonly Digest[],
): Promise<ReadonlyMap<Digest, readonly string[]>> {
  const records = await Promise.all(diffIds.map((diffId) => store.layers.get(diffId)));
  return new Map(
    records.flatMap(
      (record) => record?.blobs.map((blob) => [blob.digest, record.sources[blob.digest] ?? []] as const) ?? [],
    ),
  );
}

import { lstatSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import type { ActOptions } from '../base/progress.ts';
import { chainIds } from '../image/chain-id.ts';
import { shortDigest } from '../image/digest.ts';
import { compressionOf, isLayerType, layerType } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import type { Blob, Codec, CopyAction, CopySource, DiffReply, Found, WantedBlob } from '../native/protocol.ts';
import type { CallOptions, Helper } from '../native/types.ts';
import { holdsLayer, MAX_LAYER_BYTES } from './check-blob.ts';
import { isVerified } from './claims.ts';
import { errnoOf } from './files.ts';
import { LostLayerError } from './lost-layer.ts';
import { requireSpace, type WantedLayer } from './space.ts';
import { transcode } from './transcode.ts';
import type { LayerRecord, SnapshotForm, Store } from './types.ts';

/** Limit of one layer, as of its bytes. */
export const MAX_LAYER_ENTRIES = 4_000_000;

/** Gets a blob that only a registry has; plugged in by `engine/index.ts`. */
export type FetchBlob = (
  blob: Descriptor,
  sources: readonly string[],
  options: { readonly signal?: AbortSignal | undefined },
) => AsyncIterable<Uint8Array>;

/** How an act on snapshots reports: bytes move inside `vertex`. */
export interface SnapshotOptions extends ActOptions {
  readonly vertex?: string | undefined;
}

/** How a blob is packed. */
export interface Packing {
  readonly codec: Codec;
  readonly level: number;
  /** A blob that is known and has another codec does not do: it is packed again. */
  readonly force?: boolean | undefined;
  /** Files that do not shrink, such as weights and archives, stay plain: then digest and diff id are the same, and nobody inflates them. */
  readonly mayBePlain?: boolean | undefined;
}

/** {@link Packing}, and what may be taken as it came. */
export interface PackOptions extends SnapshotOptions {
  /** Blobs of the layer by the manifests that brought it: taken unseen where only a registry has them, so that nothing need be fetched. */
  readonly came?: readonly Descriptor[] | undefined;
}

/** A layer that was packed again. */
export interface Repacked {
  readonly diffId: Digest;
  readonly blob: Descriptor;
}

/** A value that must not be in a layer, in one of its forms. */
export interface ForbiddenValue {
  /** Unique; what is told is `secret` and `form`. */
  readonly id: string;
  readonly value: Uint8Array;
  /** Name of the secret. */
  readonly secret: string;
  /** `as it is`, `in base64`. */
  readonly form: string;
}

/** A layer of copied files. */
export interface CopiedLayer {
  /** Null when nothing changed. */
  readonly layer: Digest | null;
  /** Hashes of the files that came from contexts, 32 bytes each, in the order of the lists. */
  readonly contents: Buffer;
}

/** Layers as directories of one id map, made on demand. */
export interface Snapshots {
  readonly helper: Helper;
  /**
   * Snapshots of layers, topmost first; missing ones are unpacked, their blobs pulled where they are not here.
   *
   * @param layers diff ids, bottom first
   * @throws `LAYER_MISSING` naming a layer that is nowhere to be had; `LostLayerError` for one that its places no longer give
   */
  ensure(layers: readonly Digest[], options?: SnapshotOptions): Promise<readonly string[]>;
  /** True when the layer, on top of `below`, can be had without making it again. Touches no layer. */
  has(layer: Digest, below: readonly Digest[]): Promise<boolean>;
  /** Turns an upper that a step has filled into a layer; null when nothing changed. */
  finish(
    upper: string,
    lowers: readonly string[],
    options?: SnapshotOptions & { readonly forbidden?: readonly ForbiddenValue[] | undefined },
  ): Promise<Digest | null>;
  /**
   * Copies files into a layer on `lowers`, in one pass over their bytes, and makes its blob on the way when it is to be packed. `data` belongs
   * to the actions: lists of paths, contents.
   */
  copy(
    lowers: readonly string[],
    actions: readonly CopyAction[],
    options: SnapshotOptions &
      Pick<CallOptions, 'data'> & {
        readonly forbidden?: readonly ForbiddenValue[] | undefined;
        readonly packing?: Packing | undefined;
      },
  ): Promise<CopiedLayer>;
  /** An upper that is filled with a part of a stage, its path absolute: what a cache mount begins with. */
  fill(upper: string, layers: readonly Digest[], source: string, options?: SnapshotOptions): Promise<void>;
  /** Names of the cache mounts that are there. */
  cacheMounts(): Promise<ReadonlySet<string>>;
  /**
   * The blob of the topmost of `layers`: one that is known to hold it, or that came with it from where it came; else one that is made from its
   * snapshot. What others say of its blobs is found true first.
   */
  pack(layers: readonly Digest[], packing: Packing, options?: PackOptions): Promise<Descriptor>;
  /**
   * The topmost of `layers` as a layer anew, from its snapshot, since the only copy of its blob is lost. A layer that another tool packed gets
   * another diff id: the files are the same, their tar is not.
   *
   * @throws `LAYER_LOST` when the snapshot is not here either
   */
  repack(layers: readonly Digest[], packing: Packing, options?: SnapshotOptions): Promise<Repacked>;
  /** The topmost of `layers` with no time later than `clamp` (seconds since 1970), as a layer of its own. */
  rewrite(layers: readonly Digest[], packing: Packing, clamp: number, options?: SnapshotOptions): Promise<Repacked>;
  /** Removes uppers that a failed step left. */
  discard(uppers: readonly string[]): Promise<void>;
}

/** {@link Snapshots} over the store, for the time of one act. */
export function createSnapshots(store: Store, helper: Helper, fetchBlob: FetchBlob): Snapshots {
  const { content, layers } = store;
  const { idMapName } = helper;
  let present: Promise<Set<string>> | undefined;
  const names = (): Promise<Set<string>> =>
    (present ??= helper
      .call('usage', { names: [], measure: false })
      .then(({ snapshots }) => new Set(snapshots.map(({ name }) => name))));
  /** Looks for itself, which costs no process; where a snapshot belongs to other ids and is closed to us, the helper's list tells. */
  const isPresent = async (name: string): Promise<boolean> => {
    try {
      return lstatSync(join(store.root, 'snapshots', idMapName, name)).isDirectory();
    } catch (error) {
      return errnoOf(error) === 'ENOENT' ? false : (await names()).has(name);
    }
  };
  /** What is under way, so that two stages on one base unpack it once. */
  const applying = new Map<Digest, Promise<string>>();
  const packing = new Map<string, Promise<Descriptor>>();

  const find = async (record: LayerRecord | undefined, chainId: Digest): Promise<SnapshotForm | undefined> => {
    const forms =
      record?.snapshots.filter((form) => form.idMap === idMapName && [undefined, chainId].includes(form.chainId)) ?? [];
    for (const form of forms) if (await isPresent(form.name)) return form;
    if (present === undefined) return undefined;
    // Another act may have made it since the names were asked for.
    present = undefined;
    for (const form of forms) if (await isPresent(form.name)) return form;
    return undefined;
  };

  const localBlob = async (record: LayerRecord | undefined): Promise<Descriptor | undefined> => {
    for (const blob of record?.blobs ?? []) if (await content.exists(blob)) return blob;
    return undefined;
  };

  const isServed = (record: LayerRecord | undefined, { digest }: Descriptor): boolean =>
    (record?.sources[digest]?.length ?? 0) > 0;

  /** The layer's bytes as the first of its blobs that can be had; those that are known to hold it come first. */
  const bring = async (diffId: Digest, options: SnapshotOptions): Promise<Descriptor> => {
    const record = await layers.get(diffId);
    const local = await localBlob(record);
    if (local) return local;
    const remotes = record?.blobs.filter((blob) => isServed(record, blob)) ?? [];
    if (!record || remotes.length === 0) throw layerMissing(diffId, record, idMapName);
    let failure: unknown;
    for (const remote of remotes) {
      try {
        return await fetchFrom(remote, record.sources[remote.digest] ?? [], options);
      } catch (error) {
        if (options.signal?.aborted || isStoreFault(error)) throw error;
        failure ??= error;
      }
    }
    throw new LostLayerError(diffId, failure);
  };

  const fetchFrom = async (
    remote: Descriptor,
    places: readonly string[],
    options: SnapshotOptions,
  ): Promise<Descriptor> => {
    const report = reporter(options, `pull ${shortDigest(remote.digest)}`);
    await content.push(remote, () => fetchBlob(remote, places, { signal: options.signal }), {
      signal: options.signal,
      onProgress: (current, total) => report(current, total),
    });
    report(remote.size, remote.size, Date.now());
    return remote;
  };

  /** A blob that holds the layer, brought here; those that turn out to hold something else are forgotten. */
  const bringSound = async (diffId: Digest, options: SnapshotOptions): Promise<Descriptor> => {
    for (;;) {
      const blob = await bring(diffId, options);
      if ((await holdsLayer(store, diffId, blob, options.signal)) !== false) return blob;
      options.onEvent?.({ type: 'warning', vertex: options.vertex, message: otherBytes(diffId, blob) });
    }
  };

  const apply = async (
    { diffId, chainId }: { readonly diffId: Digest; readonly chainId: Digest },
    blob: Descriptor,
    lowers: readonly string[],
    options: SnapshotOptions,
  ): Promise<string> => {
    const report = reporter(options, `unpack ${shortDigest(blob.digest)}`);
    const reply = await helper.call(
      'apply',
      {
        blob: content.pathOf(blob.digest),
        codec: compressionOf(blob.mediaType),
        diffId,
        chainId,
        lowers: [...lowers],
        maxBytes: MAX_LAYER_BYTES,
        maxEntries: MAX_LAYER_ENTRIES,
      },
      {
        signal: options.signal,
        onEvent: (event) => {
          if (event.type === 'progress') report(event.current, event.total ?? undefined);
          if (event.type === 'warning')
            options.onEvent?.({ type: 'warning', vertex: options.vertex, message: event.message });
        },
      },
    );
    report(reply.size, reply.size, Date.now());
    const form = { idMap: idMapName, name: reply.snapshot, ...(reply.selfContained ? {} : { chainId }) };
    await layers.add(diffId, { size: reply.size, snapshots: [form], blobs: [blob], verified: [blob.digest] });
    (await present)?.add(reply.snapshot);
    return reply.snapshot;
  };

  /** Unpacks the layer from the first of its blobs that turns out to hold it. */
  const unpack = async (
    layer: Parameters<typeof apply>[0],
    brought: Descriptor,
    lowers: readonly string[],
    options: SnapshotOptions,
  ): Promise<string> => {
    const { diffId } = layer;
    for (let blob = brought; ; blob = await bring(diffId, options)) {
      try {
        return await apply(layer, blob, lowers, options);
      } catch (error) {
        // What the helper refused is the layer itself, unless the blob is another one.
        if (options.signal?.aborted || !(await isForgotten(diffId, blob, options))) throw error;
        if (!(await canBeBrought(await layers.get(diffId)))) throw new LostLayerError(diffId, error);
        options.onEvent?.({ type: 'warning', vertex: options.vertex, message: otherBytes(diffId, blob) });
      }
    }
  };

  const canBeBrought = async (record: LayerRecord | undefined): Promise<boolean> =>
    Boolean(record?.blobs.some((blob) => isServed(record, blob)) || (await localBlob(record)));

  /** True for a blob that holds something else than the layer: nobody will take it for one of its blobs again. */
  const isForgotten = async (diffId: Digest, blob: Descriptor, { signal }: SnapshotOptions): Promise<boolean> =>
    (await content.exists(blob)) && (await holdsLayer(store, diffId, blob, signal)) === false;

  const wanted = async (diffId: Digest): Promise<WantedLayer> => {
    const record = await layers.get(diffId);
    return { record, local: await localBlob(record) };
  };

  const ensure: Snapshots['ensure'] = async (diffIds, options = {}) => {
    const chain = chainIds(diffIds).map((chainId, at) => ({ chainId, diffId: diffIds[at] ?? chainId }));
    const found = await Promise.all(chain.map(async ({ diffId, chainId }) => find(await layers.get(diffId), chainId)));
    const missing = chain.filter((_layer, at) => !found[at]);
    await requireSpace(store.root, await Promise.all(missing.map(({ diffId }) => wanted(diffId))));
    // Blobs come in parallel; each is unpacked when those below it are.
    const blobs = chain.map(({ diffId }, at) => (found[at] ? undefined : settled(bring(diffId, options))));
    const lowers: string[] = [];
    for (const [at, layer] of chain.entries()) {
      const blob = blobs[at];
      const name =
        found[at]?.name ??
        (blob && (await once(applying, layer.chainId, async () => unpack(layer, await blob(), lowers, options))));
      // A layer twice in a chain counts once, at its upper place: overlay refuses the same directory twice.
      if (name !== undefined) lowers.splice(0, lowers.length, name, ...lowers.filter((other) => other !== name));
    }
    return lowers;
  };

  const makeBlob = async (
    diffIds: readonly Digest[],
    { force = false, ...how }: Packing,
    options: PackOptions,
  ): Promise<Descriptor> => {
    const diffId = diffIds.at(-1) ?? missingLayer();
    const fits = (record: LayerRecord | undefined): LayerRecord | undefined => fitting(record, { ...how, force });
    const record = await layers.get(diffId);
    const known = await knownBlob(fits(record), options);
    if (known) return known;
    if (force && (record?.blobs.length ?? 0) > 0) return await repackBlob(diffIds, how, options);
    const chainId = chainIds(diffIds).at(-1) ?? diffId;
    if ((record?.blobs.length ?? 0) > 0 && !(await find(await layers.get(diffId), chainId))) {
      // Nobody has seen what is in its blobs: unpacked, one of them is known.
      await ensure(diffIds, options);
      const seen = await verifiedBlob(fits(await layers.get(diffId)));
      if (seen) return seen;
    }
    const packed = await packSnapshot(diffIds, how, options);
    if (packed.diffId !== diffId) return await soundBlob(diffId, packed, options);
    await layers.add(diffId, { size: packed.size, blobs: [packed.blob], verified: [packed.blob.digest] });
    return packed.blob;
  };

  /** Another tool made the layer's tar, and its blob is lost: one that somebody names is taken when it holds the same tar. */
  const soundBlob = async (diffId: Digest, packed: Repacked, options: SnapshotOptions): Promise<Descriptor> => {
    await content.remove(packed.blob.digest);
    if (!(await layers.get(diffId))?.blobs.length) throw changedLayer(diffId, packed.diffId);
    const blob = await bringSound(diffId, options);
    if (isVerified(await layers.get(diffId), blob)) return blob;
    throw changedLayer(diffId, packed.diffId);
  };

  /** A blob that is known to hold the layer, here rather than elsewhere. */
  const verifiedBlob = async (record: LayerRecord | undefined): Promise<Descriptor | undefined> => {
    const verified = record?.blobs.filter((blob) => isVerified(record, blob)) ?? [];
    for (const blob of verified) if (await content.exists(blob)) return blob;
    return verified.find((blob) => isServed(record, blob));
  };

  /**
   * A blob of the layer that can be had without its files. One that is here is looked into; one that only a registry has is taken from the
   * manifest that the layer came with, or from a cache, which names the step as well that made it.
   */
  const knownBlob = async (
    record: LayerRecord | undefined,
    { came = [], signal }: PackOptions,
  ): Promise<Descriptor | undefined> => {
    if (!record) return undefined;
    const verified = await verifiedBlob(record);
    if (verified) return verified;
    const isOfLayer = ({ digest }: Descriptor): boolean => record.blobs.some((blob) => blob.digest === digest);
    const cached = record.blobs.filter(({ digest }) => record.cached?.includes(digest));
    // Where it came with a manifest no cache has a say: it is the layer of a base.
    const trusted = came.length > 0 ? came.filter(isOfLayer) : cached;
    for (const blob of [...trusted, ...record.blobs]) {
      if (!(await content.exists(blob))) continue;
      if (await holdsLayer(store, record.diffId, blob, signal)) return toForm(blob);
    }
    const left = await layers.get(record.diffId);
    const isLeft = ({ digest }: Descriptor): boolean => left?.blobs.some((blob) => blob.digest === digest) ?? false;
    const remote = trusted.find((blob) => isLeft(blob) && isServed(left, blob));
    return remote && toForm(remote);
  };

  /** Another form of a layer that has a blob: from its files where they give the same tar, else from that blob's bytes. */
  const repackBlob = async (
    diffIds: readonly Digest[],
    how: Packing,
    options: SnapshotOptions,
  ): Promise<Descriptor> => {
    const diffId = diffIds.at(-1) ?? missingLayer();
    const chainId = chainIds(diffIds).at(-1) ?? diffId;
    if (await find(await layers.get(diffId), chainId)) {
      const packed = await packSnapshot(diffIds, how, options);
      if (packed.diffId === diffId) {
        await layers.add(diffId, { blobs: [packed.blob], verified: [packed.blob.digest] });
        return packed.blob;
      }
      // Another tool made the layer's tar; what came of its files is nothing that anybody names.
      await content.remove(packed.blob.digest);
    }
    const blob = await transcode(content, await bringSound(diffId, options), how, options.signal);
    await layers.add(diffId, { blobs: [blob], verified: [blob.digest] });
    return blob;
  };

  const packSnapshot = async (
    diffIds: readonly Digest[],
    { codec, level, mayBePlain = false }: Packing,
    options: SnapshotOptions,
    clamp?: number,
  ): Promise<Repacked & { readonly size: number }> => {
    const [snapshot, ...lowers] = await ensure(diffIds, options);
    const ingest = content.newIngest();
    const report = reporter(options, `pack ${shortDigest(diffIds.at(-1) ?? missingLayer())}`);
    const reply = await helper.call(
      'diff',
      {
        snapshot: snapshot ?? missingLayer(),
        lowers,
        output: ingest,
        codec,
        level,
        ...(mayBePlain ? { mayBePlain } : {}),
        clamp: clamp === undefined ? null : { seconds: clamp },
        finish: false,
        container: null,
      },
      {
        signal: options.signal,
        onEvent: (event) => {
          if (event.type === 'progress') report(event.current, event.total ?? undefined);
        },
      },
    );
    const blob = await commitBlob(ingest, reply.blob ?? missingLayer());
    report(blob.size, blob.size, Date.now());
    return { diffId: reply.diffId as Digest, blob, size: reply.plainSize };
  };

  /** A blob that the helper has just written becomes one of the store. */
  const commitBlob = async (ingest: string, { digest, size, codec }: Blob): Promise<Descriptor> => {
    const blob = { mediaType: layerType(codec), digest: digest as Digest, size };
    await content.commit(ingest, blob);
    return blob;
  };

  const repack: Snapshots['repack'] = async (diffIds, how, options = {}) => {
    const found = await Promise.all(
      chainIds(diffIds).map(async (chainId, at) => find(await layers.get(diffIds[at] ?? chainId), chainId)),
    );
    const own = found.at(-1);
    if (!own) throw layerLost(diffIds.at(-1) ?? missingLayer());
    const packed = await packSnapshot(diffIds, how, options);
    // A snapshot that needs nothing below it is the new layer's as well; another one is unpacked from the new blob when it is needed.
    const snapshots = own.chainId === undefined ? [own] : [];
    await layers.add(packed.diffId, {
      size: packed.size,
      blobs: [packed.blob],
      verified: [packed.blob.digest],
      snapshots,
    });
    return { diffId: packed.diffId, blob: packed.blob };
  };

  /** A layer that the helper has just made. */
  const keepLayer = async (reply: DiffReply, forbidden: readonly ForbiddenValue[]): Promise<Digest | null> => {
    if (reply.found.length > 0) throw secretInLayer(reply.found, forbidden);
    const diffId = reply.diffId as Digest;
    await layers.add(diffId, { size: reply.plainSize, snapshots: [{ idMap: idMapName, name: reply.snapshot }] });
    (await present)?.add(reply.snapshot);
    // The empty layer is kept like any other: another image may have it.
    return reply.entries === 0 ? null : diffId;
  };

  /** The blob that came with a copied layer, unless the layer had one that does. */
  const keepBlob = async (
    diffId: Digest,
    { output, blob, how }: { readonly output: string; readonly blob: Blob; readonly how: Packing },
  ): Promise<void> => {
    const known = await verifiedBlob(fitting(await layers.get(diffId), how));
    if (known && (await content.exists(known))) return await rm(join(store.root, output), { force: true });
    const made = await commitBlob(output, blob);
    await layers.add(diffId, { blobs: [made], verified: [made.digest] });
  };

  return {
    helper,
    ensure,
    has: async (diffId, below) => {
      const record = await layers.get(diffId);
      if (!record) return false;
      const chainId = chainIds([...below, diffId]).at(-1) ?? diffId;
      return Boolean(await find(record, chainId)) || (await canBeBrought(record));
    },
    finish: async (upper, lowers, options = {}) => {
      const { forbidden = [] } = options;
      const reply = await helper.call(
        'diff',
        {
          snapshot: upper,
          lowers: [...lowers],
          output: null,
          codec: 'none',
          level: 0,
          clamp: null,
          finish: true,
          container: null,
          ...namesOf(forbidden),
        },
        { signal: options.signal, secrets: forbidden },
      );
      return await keepLayer(reply, forbidden);
    },
    copy: async (lowers, actions, { data, forbidden = [], packing: how, signal, onEvent, vertex }) => {
      const chunks: Uint8Array[] = [];
      const report = reporter({ onEvent, vertex }, 'copy');
      const output = content.newIngest();
      const reply = await helper.call(
        'copy-layer',
        {
          lowers: [...lowers],
          actions: [...actions],
          ...namesOf(forbidden),
          ...(how && { blob: wantedBlob(output, how) }),
        },
        {
          signal,
          data,
          secrets: forbidden,
          onData: (chunk) => void chunks.push(chunk),
          onEvent: (event) => {
            if (event.type === 'warning') onEvent?.({ type: 'warning', vertex, message: event.message });
            if (event.type === 'progress') report(event.current, event.total ?? undefined);
          },
        },
      );
      const layer = await keepLayer(reply, forbidden);
      if (how && reply.blob) await keepBlob(reply.diffId as Digest, { output, blob: reply.blob, how });
      return { layer, contents: Buffer.concat(chunks) };
    },
    pack: (diffIds, how, options = {}) =>
      once(packing, keyOf(diffIds.at(-1) ?? missingLayer(), how, options), () => makeBlob(diffIds, how, options)),
    repack,
    rewrite: async (diffIds, how, clamp, options = {}) => {
      const { diffId, blob, size } = await packSnapshot(diffIds, how, options, clamp);
      await layers.add(diffId, { size, blobs: [blob], verified: [blob.digest] });
      return { diffId, blob };
    },
    fill: async (upper, diffIds, source, options = {}) => {
      const snapshots = [...(await ensure(diffIds, options))];
      const filter = { include: [], exclude: [] };
      const from: CopySource = { from: 'snapshots', snapshots, patterns: [source], filter };
      const kept = { owner: null, mode: null, modeChanges: [], created: null };
      const copy = { kind: 'copy', source: from, dest: '/', destIsDirectory: false, ...kept } as const;
      await helper.call('copy', { name: upper, lowers: [], actions: [copy] }, { signal: options.signal });
    },
    cacheMounts: async () => {
      const { snapshots } = await helper.call('usage', { names: [], measure: false, cacheMounts: true });
      return new Set(snapshots.map(({ name }) => name));
    },
    discard: async (uppers) => {
      await helper.call('remove', { snapshots: [...uppers], containers: [], force: false, garbage: false });
    },
  };
}

/** What is packed alike is packed once. */
function keyOf(diffId: Digest, { codec, level, force = false }: Packing, { came = [] }: PackOptions): string {
  return [diffId, codec, level, force, ...came.map(({ digest }) => digest)].join(' ');
}

/** Annotations and URLs belong to the entry of the manifest that has them. */
function toForm({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function otherBytes(diffId: Digest, { digest }: Descriptor): string {
  return `The blob ${digest} is not taken for layer ${diffId} any more: it holds something else than the manifest or the cache says that named it`;
}

function wantedBlob(output: string, { codec, level, mayBePlain = false }: Packing): WantedBlob {
  return { output, codec, level, mayBePlain };
}

/** Their ids, as a request names them. */
export function namesOf(forbidden: readonly ForbiddenValue[]): { readonly forbidden?: string[] } {
  return forbidden.length > 0 ? { forbidden: forbidden.map(({ id }) => id) } : {};
}

/** The record with only the blobs that do: where a codec is forced, those of that codec. */
function fitting(record: LayerRecord | undefined, { force = false, codec }: Packing): LayerRecord | undefined {
  if (!record || !force) return record;
  return { ...record, blobs: record.blobs.filter(({ mediaType }) => isOf(mediaType, codec)) };
}

function isOf(mediaType: string, codec: Codec): boolean {
  return isLayerType(mediaType) && compressionOf(mediaType) === codec;
}

/** This disk's fault, not that of the place that has the blob. */
function isStoreFault(error: unknown): boolean {
  return error instanceof EngineError && error.code.startsWith('STORE_');
}

/** The promise under way for a key, or a new one; a failed one is forgotten. */
function once<K, T>(running: Map<K, Promise<T>>, key: K, act: () => Promise<T>): Promise<T> {
  const found = running.get(key);
  if (found) return found;
  const started = act();
  running.set(key, started);
  started.catch(() => running.delete(key));
  return started;
}

/** A promise that may fail before somebody waits for it. */
function settled<T>(promise: Promise<T>): () => Promise<T> {
  promise.catch(() => undefined);
  return () => promise;
}

function reporter(
  { onEvent, vertex }: SnapshotOptions,
  name: string,
): (current: number, total?: number, completed?: number) => void {
  return (current, total, completed) => {
    if (vertex !== undefined) onEvent?.({ type: 'status', vertex, name, current, total, completed });
  };
}

function secretInLayer(found: readonly Found[], forbidden: readonly ForbiddenValue[]): EngineError {
  const places = found.map(({ path, secret }) => {
    const value = forbidden.find(({ id }) => id === secret);
    return `${path} holds the secret "${value?.secret ?? secret}" ${value?.form ?? ''}`.trimEnd();
  });
  return new EngineError('SECRET_IN_LAYER', `Cannot keep the files of this step: ${places.join(', ')}`, {
    hint: 'Remove the file in the same RUN, or read the secret from its mount; --allow-secret-in-layer keeps it all the same',
  });
}

function layerMissing(diffId: Digest, record: LayerRecord | undefined, idMapName: string): EngineError {
  const others = [...new Set(record?.snapshots.map(({ idMap }) => idMap).filter((idMap) => idMap !== idMapName))];
  if (others.length === 0) {
    return new EngineError(
      'LAYER_MISSING',
      `Cannot use layer ${diffId}: it is neither in the store nor known to a registry`,
      {
        hint: 'Build or pull the image again',
      },
    );
  }
  return new EngineError(
    'LAYER_MISSING',
    `Cannot use layer ${diffId}: it was made under the id map ${others.join(', ')}, and this is ${idMapName}`,
    { hint: 'Build again, or use the isolation that made it (`--isolation`)' },
  );
}

function changedLayer(wanted: Digest, found: string): EngineError {
  return new EngineError('STORE_CORRUPT', `Cannot pack layer ${wanted}: its snapshot now gives ${found}`, {
    hint: 'Run `berth system fsck --repair`, then build again',
  });
}

function layerLost(diffId: Digest): EngineError {
  return new EngineError(
    'LAYER_LOST',
    `Cannot pack layer ${diffId}: no registry gives it any more, and its files are not here`,
    { hint: 'Build the image again, or start the registry that has it' },
  );
}

function missingLayer(): never {
  throw new Error('A layer is needed');
}

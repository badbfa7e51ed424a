import { EngineError } from '../base/errors.ts';
import { shortDigest } from '../image/digest.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import { holdsLayer } from './check-blob.ts';
import { isVerified, toForm } from './claims.ts';
import { reporter, type SnapshotOptions } from './layer-progress.ts';
import { LostLayerError } from './lost-layer.ts';
import type { LayerRecord, Store } from './types.ts';

/** Gets a blob that only a registry has; plugged in by `engine/index.ts`. */
export type FetchBlob = (
  blob: Descriptor,
  sources: readonly string[],
  options: { readonly signal?: AbortSignal | undefined },
) => AsyncIterable<Uint8Array>;

/** The bytes of layers: each as the first of its blobs that can be had. */
export interface LayerBlobs {
  /** The first of the layer's blobs that is here. */
  local(record: LayerRecord | undefined): Promise<Descriptor | undefined>;
  /** Brings one here; those that are known to hold the layer come first. @throws `LAYER_MISSING`; `LostLayerError` where its places no longer give it */
  bring(diffId: Digest, options: SnapshotOptions): Promise<Descriptor>;
  /** Brings one that holds the layer; those that turn out to hold something else are forgotten. */
  bringSound(diffId: Digest, options: SnapshotOptions): Promise<Descriptor>;
  canBeBrought(record: LayerRecord | undefined): Promise<boolean>;
  /** One that is known to hold the layer, here rather than elsewhere. */
  verified(record: LayerRecord | undefined): Promise<Descriptor | undefined>;
  /**
   * One that can be had without the layer's files. What is here is looked into; what only a registry has is taken from `came`, the manifests that
   * the layer came with, or from a cache, which names the step as well that made it.
   */
  known(
    record: LayerRecord | undefined,
    options: { readonly came?: readonly Descriptor[] | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<Descriptor | undefined>;
}

/** {@link LayerBlobs} of the store. `idMapName` is that of this act's snapshots. */
export function createLayerBlobs({ content, layers }: Store, fetchBlob: FetchBlob, idMapName: string): LayerBlobs {
  const local = async (record: LayerRecord | undefined): Promise<Descriptor | undefined> => {
    for (const blob of record?.blobs ?? []) if (await content.exists(blob)) return blob;
    return undefined;
  };

  const bring = async (diffId: Digest, options: SnapshotOptions): Promise<Descriptor> => {
    const record = await layers.get(diffId);
    const here = await local(record);
    if (here) return here;
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

  const bringSound = async (diffId: Digest, options: SnapshotOptions): Promise<Descriptor> => {
    for (;;) {
      const blob = await bring(diffId, options);
      if ((await holdsLayer({ content, layers }, diffId, blob, options.signal)) !== false) return blob;
      warnOfOtherBytes(diffId, blob, options);
    }
  };

  const canBeBrought = async (record: LayerRecord | undefined): Promise<boolean> =>
    Boolean(record?.blobs.some((blob) => isServed(record, blob)) || (await local(record)));

  const verified = async (record: LayerRecord | undefined): Promise<Descriptor | undefined> => {
    const sound = record?.blobs.filter((blob) => isVerified(record, blob)) ?? [];
    for (const blob of sound) if (await content.exists(blob)) return blob;
    return sound.find((blob) => isServed(record, blob));
  };

  const known: LayerBlobs['known'] = async (record, { came = [], signal }) => {
    if (!record) return undefined;
    const sound = await verified(record);
    if (sound) return sound;
    const isOfLayer = ({ digest }: Descriptor): boolean => record.blobs.some((blob) => blob.digest === digest);
    const cached = record.blobs.filter(({ digest }) => record.cached?.includes(digest));
    // Where it came with a manifest no cache has a say: it is the layer of a base.
    const trusted = came.length > 0 ? came.filter(isOfLayer) : cached;
    for (const blob of [...trusted, ...record.blobs]) {
      if (!(await content.exists(blob))) continue;
      if (await holdsLayer({ content, layers }, record.diffId, blob, signal)) return toForm(blob);
    }
    const left = await layers.get(record.diffId);
    const isLeft = ({ digest }: Descriptor): boolean => left?.blobs.some((blob) => blob.digest === digest) ?? false;
    const remote = trusted.find((blob) => isLeft(blob) && isServed(left, blob));
    return remote && toForm(remote);
  };

  return { local, bring, bringSound, canBeBrought, verified, known };
}

/** Says that a blob is forgotten. */
export function warnOfOtherBytes(diffId: Digest, { digest }: Descriptor, { onEvent, vertex }: SnapshotOptions): void {
  const message = `The blob ${digest} is not taken for layer ${diffId} any more: it holds something else than the manifest or the cache says that named it`;
  onEvent?.({ type: 'warning', vertex, message });
}

/** Whether a registry is known to have the blob of a layer. */
function isServed(record: LayerRecord | undefined, { digest }: Descriptor): boolean {
  return (record?.sources[digest]?.length ?? 0) > 0;
}

/** This disk's fault, not that of the place that has the blob. */
function isStoreFault(error: unknown): boolean {
  return error instanceof EngineError && error.code.startsWith('STORE_');
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
    { hint: 'Build again, or use the isolation that made it (BERTH_ISOLATION, or the input isolation)' },
  );
}

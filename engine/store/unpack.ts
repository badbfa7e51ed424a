import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { onceEach } from '../base/once.ts';
import { chainIds } from '../image/chain-id.ts';
import { shortDigest } from '../image/digest.ts';
import { compressionOf } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import type { Helper } from '../native/types.ts';
import { holdsLayer, MAX_LAYER_BYTES } from './check-blob.ts';
import { errnoOf } from './files.ts';
import { warnOfOtherBytes, type LayerBlobs } from './layer-blobs.ts';
import { reporter, type SnapshotOptions } from './layer-progress.ts';
import { LostLayerError } from './lost-layer.ts';
import { requireSpace, type WantedLayer } from './space.ts';
import type { LayerRecord, SnapshotForm, Store } from './types.ts';

/** Limit of one layer, as of its bytes. */
export const MAX_LAYER_ENTRIES = 4_000_000;

/** Layers as directories of one id map, unpacked where they are missing. */
export interface Unpacked {
  /** Snapshots of layers, topmost first. @throws `LAYER_MISSING`, `LostLayerError` */
  ensure(layers: readonly Digest[], options?: SnapshotOptions): Promise<readonly string[]>;
  /** The snapshot of a layer, for the chain that it is the top of. */
  find(record: LayerRecord | undefined, chainId: Digest): Promise<SnapshotForm | undefined>;
  /** Tells of a snapshot that was made elsewhere. */
  add(name: string): Promise<void>;
}

/** {@link Unpacked} over the store, for the time of one act. */
export function createUnpacked(store: Store, helper: Helper, blobs: LayerBlobs): Unpacked {
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
  /** By chain id, so that two stages on one base unpack it once. */
  const unpackOnce = onceEach<Digest, string>();

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

  const add = async (name: string): Promise<void> => void (await present)?.add(name);

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
    await add(reply.snapshot);
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
    for (let blob = brought; ; blob = await blobs.bring(diffId, options)) {
      try {
        return await apply(layer, blob, lowers, options);
      } catch (error) {
        // What the helper refused is the layer itself, unless the blob is another one.
        if (options.signal?.aborted || !(await isForgotten(diffId, blob, options))) throw error;
        if (!(await blobs.canBeBrought(await layers.get(diffId)))) throw new LostLayerError(diffId, error);
        warnOfOtherBytes(diffId, blob, options);
      }
    }
  };

  /** True for a blob that holds something else than the layer: nobody will take it for one of its blobs again. */
  const isForgotten = async (diffId: Digest, blob: Descriptor, { signal }: SnapshotOptions): Promise<boolean> =>
    (await content.exists(blob)) && (await holdsLayer(store, diffId, blob, signal)) === false;

  const wanted = async (diffId: Digest): Promise<WantedLayer> => {
    const record = await layers.get(diffId);
    return { record, local: await blobs.local(record) };
  };

  const ensure: Unpacked['ensure'] = async (diffIds, options = {}) => {
    const chain = chainIds(diffIds).map((chainId, at) => ({ chainId, diffId: diffIds[at] ?? chainId }));
    const found = await Promise.all(chain.map(async ({ diffId, chainId }) => find(await layers.get(diffId), chainId)));
    const missing = chain.filter((_layer, at) => !found[at]);
    await requireSpace(store.root, await Promise.all(missing.map(({ diffId }) => wanted(diffId))));
    // Blobs come in parallel; each is unpacked when those below it are.
    const brought = chain.map(({ diffId }, at) => (found[at] ? undefined : settled(blobs.bring(diffId, options))));
    const lowers: string[] = [];
    for (const [at, layer] of chain.entries()) {
      const blob = brought[at];
      const name =
        found[at]?.name ??
        (blob && (await unpackOnce(layer.chainId, async () => unpack(layer, await blob(), lowers, options))));
      // A layer twice in a chain counts once, at its upper place: overlay refuses the same directory twice.
      if (name !== undefined) lowers.splice(0, lowers.length, name, ...lowers.filter((other) => other !== name));
    }
    return lowers;
  };

  return { ensure, find, add };
}

/** A promise that may fail before somebody waits for it. */
function settled<T>(promise: Promise<T>): () => Promise<T> {
  promise.catch(() => undefined);
  return () => promise;
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { onceEach } from '../base/once.ts';
import { chainIds } from '../image/chain-id.ts';
import { shortDigest } from '../image/digest.ts';
import { compressionOf, isLayerType, layerType } from '../image/media-type.ts';
import type { Descriptor, Digest } from '../image/types.ts';
import type { Blob, Codec } from '../native/protocol.ts';
import type { Helper } from '../native/types.ts';
import { isVerified } from './claims.ts';
import type { LayerBlobs } from './layer-blobs.ts';
import { reporter, type SnapshotOptions } from './layer-progress.ts';
import { transcode } from './transcode.ts';
import type { LayerRecord, Store } from './types.ts';
import type { Unpacked } from './unpack.ts';

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

/** Blobs of layers, taken where one does, else made from their snapshots. */
export interface Packer {
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
  /** The blob that the helper wrote to `output` with a layer, unless the layer had one that does. */
  keep(
    diffId: Digest,
    made: { readonly output: string; readonly blob: Blob; readonly packing: Packing },
  ): Promise<void>;
}

/** {@link Packer} over the store, for the time of one act. */
export function createPacker(
  store: Store,
  helper: Helper,
  { blobs, unpacked }: { readonly blobs: LayerBlobs; readonly unpacked: Unpacked },
): Packer {
  const { content, layers } = store;
  const packOnce = onceEach<string, Descriptor>();

  const makeBlob = async (
    diffIds: readonly Digest[],
    { force = false, ...how }: Packing,
    options: PackOptions,
  ): Promise<Descriptor> => {
    const diffId = diffIds.at(-1) ?? missingLayer();
    const fits = (record: LayerRecord | undefined): LayerRecord | undefined => fitting(record, { ...how, force });
    const record = await layers.get(diffId);
    const known = await blobs.known(fits(record), options);
    if (known) return known;
    if (force && (record?.blobs.length ?? 0) > 0) return await repackBlob(diffIds, how, options);
    const chainId = chainIds(diffIds).at(-1) ?? diffId;
    if ((record?.blobs.length ?? 0) > 0 && !(await unpacked.find(await layers.get(diffId), chainId))) {
      // Nobody has seen what is in its blobs: unpacked, one of them is known.
      await unpacked.ensure(diffIds, options);
      const seen = await blobs.verified(fits(await layers.get(diffId)));
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
    const blob = await blobs.bringSound(diffId, options);
    if (isVerified(await layers.get(diffId), blob)) return blob;
    throw changedLayer(diffId, packed.diffId);
  };

  /** Another form of a layer that has a blob: from its files where they give the same tar, else from that blob's bytes. */
  const repackBlob = async (
    diffIds: readonly Digest[],
    how: Packing,
    options: SnapshotOptions,
  ): Promise<Descriptor> => {
    const diffId = diffIds.at(-1) ?? missingLayer();
    const chainId = chainIds(diffIds).at(-1) ?? diffId;
    if (await unpacked.find(await layers.get(diffId), chainId)) {
      const packed = await packSnapshot(diffIds, how, options);
      if (packed.diffId === diffId) {
        await layers.add(diffId, { blobs: [packed.blob], verified: [packed.blob.digest] });
        return packed.blob;
      }
      // Another tool made the layer's tar; what came of its files is nothing that anybody names.
      await content.remove(packed.blob.digest);
    }
    const blob = await transcode(content, await blobs.bringSound(diffId, options), how, options.signal);
    await layers.add(diffId, { blobs: [blob], verified: [blob.digest] });
    return blob;
  };

  const packSnapshot = async (
    diffIds: readonly Digest[],
    { codec, level, mayBePlain = false }: Packing,
    options: SnapshotOptions,
    clamp?: number,
  ): Promise<Repacked & { readonly size: number }> => {
    const [snapshot, ...lowers] = await unpacked.ensure(diffIds, options);
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

  const repack: Packer['repack'] = async (diffIds, how, options = {}) => {
    const found = await Promise.all(
      chainIds(diffIds).map(async (chainId, at) => unpacked.find(await layers.get(diffIds[at] ?? chainId), chainId)),
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

  const keep: Packer['keep'] = async (diffId, { output, blob, packing }) => {
    const known = await blobs.verified(fitting(await layers.get(diffId), packing));
    if (known && (await content.exists(known))) return await rm(join(store.root, output), { force: true });
    const made = await commitBlob(output, blob);
    await layers.add(diffId, { blobs: [made], verified: [made.digest] });
  };

  return {
    pack: (diffIds, how, options = {}) =>
      packOnce(keyOf(diffIds.at(-1) ?? missingLayer(), how, options), () => makeBlob(diffIds, how, options)),
    repack,
    rewrite: async (diffIds, how, clamp, options = {}) => {
      const { diffId, blob, size } = await packSnapshot(diffIds, how, options, clamp);
      await layers.add(diffId, { size, blobs: [blob], verified: [blob.digest] });
      return { diffId, blob };
    },
    keep,
  };
}

/** What is packed alike is packed once. */
function keyOf(diffId: Digest, { codec, level, force = false }: Packing, { came = [] }: PackOptions): string {
  return [diffId, codec, level, force, ...came.map(({ digest }) => digest)].join(' ');
}

/** The record with only the blobs that do: where a codec is forced, those of that codec. */
function fitting(record: LayerRecord | undefined, { force = false, codec }: Packing): LayerRecord | undefined {
  if (!record || !force) return record;
  return { ...record, blobs: record.blobs.filter(({ mediaType }) => isOf(mediaType, codec)) };
}

function isOf(mediaType: string, codec: Codec): boolean {
  return isLayerType(mediaType) && compressionOf(mediaType) === codec;
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

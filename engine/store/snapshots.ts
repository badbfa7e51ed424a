import { chainIds } from '../image/chain-id.ts';
import type { Digest } from '../image/types.ts';
import type { CopyAction, CopySource, DiffReply, WantedBlob } from '../native/protocol.ts';
import type { CallOptions, Helper } from '../native/types.ts';
import { cacheMountNames } from './cache-mounts.ts';
import { namesOf, secretInLayer, type ForbiddenValue } from './forbidden.ts';
import { createLayerBlobs, type FetchBlob } from './layer-blobs.ts';
import { reporter, type SnapshotOptions } from './layer-progress.ts';
import { createPacker, type Packer, type Packing } from './pack.ts';
import type { Store } from './types.ts';
import { createUnpacked } from './unpack.ts';

/** A layer of copied files. */
export interface CopiedLayer {
  /** Null when nothing changed. */
  readonly layer: Digest | null;
  /** Hashes of the files that came from contexts, 32 bytes each, in the order of the lists. */
  readonly contents: Buffer;
}

/** Layers as directories of one id map, made on demand. */
export interface Snapshots extends Pick<Packer, 'pack' | 'repack' | 'rewrite'> {
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
  /** Removes uppers that a failed step left. */
  discard(uppers: readonly string[]): Promise<void>;
}

/** {@link Snapshots} over the store, for the time of one act. */
export function createSnapshots(store: Store, helper: Helper, fetchBlob: FetchBlob): Snapshots {
  const { content, layers } = store;
  const { idMapName } = helper;
  const blobs = createLayerBlobs(store, fetchBlob, idMapName);
  const unpacked = createUnpacked(store, helper, blobs);
  const packer = createPacker(store, helper, { blobs, unpacked });

  /** A layer that the helper has just made. */
  const keepLayer = async (reply: DiffReply, forbidden: readonly ForbiddenValue[]): Promise<Digest | null> => {
    if (reply.found.length > 0) throw secretInLayer(reply.found, forbidden);
    const diffId = reply.diffId as Digest;
    await layers.add(diffId, { size: reply.plainSize, snapshots: [{ idMap: idMapName, name: reply.snapshot }] });
    await unpacked.add(reply.snapshot);
    // The empty layer is kept like any other: another image may have it.
    return reply.entries === 0 ? null : diffId;
  };

  return {
    helper,
    ensure: (diffIds, options) => unpacked.ensure(diffIds, options),
    has: async (diffId, below) => {
      const record = await layers.get(diffId);
      if (!record) return false;
      const chainId = chainIds([...below, diffId]).at(-1) ?? diffId;
      return Boolean(await unpacked.find(record, chainId)) || (await blobs.canBeBrought(record));
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
      if (how && reply.blob) await packer.keep(reply.diffId as Digest, { output, blob: reply.blob, packing: how });
      return { layer, contents: Buffer.concat(chunks) };
    },
    pack: (diffIds, packing, options) => packer.pack(diffIds, packing, options),
    repack: (diffIds, packing, options) => packer.repack(diffIds, packing, options),
    rewrite: (diffIds, packing, clamp, options) => packer.rewrite(diffIds, packing, clamp, options),
    fill: async (upper, diffIds, source, options = {}) => {
      const snapshots = [...(await unpacked.ensure(diffIds, options))];
      const filter = { include: [], exclude: [] };
      const from: CopySource = { from: 'snapshots', snapshots, patterns: [source], filter };
      const kept = { owner: null, mode: null, modeChanges: [], created: null };
      const copy = { kind: 'copy', source: from, dest: '/', destIsDirectory: false, ...kept } as const;
      await helper.call('copy', { name: upper, lowers: [], actions: [copy] }, { signal: options.signal });
    },
    cacheMounts: () => cacheMountNames(helper),
    discard: async (uppers) => {
      await helper.call('remove', { snapshots: [...uppers], containers: [], force: false, garbage: false });
    },
  };
}

function wantedBlob(output: string, { codec, level, mayBePlain = false }: Packing): WantedBlob {
  return { output, codec, level, mayBePlain };
}

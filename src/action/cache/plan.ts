import type { CacheExport, Digest, ExportedBlob, MountExport, MountRecord } from '../../../engine/index.ts';
import type { BlobEntry, CacheDocument, Provenance } from './document.ts';
import { leftOutMounts, type LeftOut } from './left-out.ts';
import { keysOf, type PassRecord } from './passes.ts';
import { blobName, packName, type Compression, type EntryName } from './names.ts';

/** An entry that is to be made. */
export interface Upload extends EntryName {
  readonly files: readonly {
    readonly name: string;
    readonly path: string;
    readonly digest: Digest;
    readonly size: number;
  }[];
}

/** What the post step saves: entries of blobs first, then the index over them. It holds no secret. */
export interface SavePlan {
  readonly v: 1;
  readonly scope: string;
  readonly compression: Compression;
  readonly uploads: readonly Upload[];
  readonly document: CacheDocument;
  /** Layers that were left out, largest first, and cache mounts, for the summary. */
  readonly leftOut: readonly LeftOut[];
}

export interface PlanOptions {
  readonly scope: string;
  readonly compression: Compression;
  readonly provenance: Provenance;
  /** What was restored, and which of its blobs can still be had. */
  readonly restored?: CacheDocument | undefined;
  readonly available: ReadonlySet<Digest>;
  /** Contents of cache mounts, when they are to be saved. */
  readonly mounts?: MountExport | undefined;
  /** Images that passed, in this run or before. */
  readonly passes?: readonly PassRecord[] | undefined;
  /** Bytes that one scope may take. */
  readonly maxSize: number;
  readonly now: Date;
}

/** Blobs below this size share an entry. */
const SMALL = 4 * 1024 * 1024;
const PACK = 64 * 1024 * 1024;
/** Entries of one run: the service takes 200 a minute from a whole repository. */
const MAX_UPLOADS = 32;
/** More packs than this are made anew as fewer. */
const MAX_PACKS = 8;
/** An index that says nothing new is written again after this time, so that what is used stays. */
const REFRESH = 24 * 3600 * 1000;

/** @returns undefined when the cache already says all of it */
export function planSave({ index, blobs }: CacheExport, options: PlanOptions): SavePlan | undefined {
  const { mounts = NO_MOUNTS } = options;
  const { kept, leftOut } = withinSize([...blobs, ...mounts.blobs], options.maxSize);
  const reused = reusableEntries(options, kept);
  const have = new Set(reused.flatMap(({ blobs: held }) => held.map(({ digest }) => digest)));
  const missing = kept.filter(({ descriptor, path }) => path !== undefined && !have.has(descriptor.digest));
  const wanted = toUploads(missing);
  const uploads = wanted.slice(0, MAX_UPLOADS);
  const uploaded = new Set(uploads.flatMap(({ files }) => files.map(({ digest }) => digest)));
  const stored = (digest: Digest): boolean => have.has(digest) || uploaded.has(digest);
  const document: CacheDocument = {
    v: 1,
    provenance: options.provenance,
    entries: [...reused, ...uploads.map((upload) => entryOf(upload, options.compression))],
    index: { ...index, layers: index.layers.filter(({ blob }) => stored(blob.digest)) },
    passes: options.passes ?? [],
    mounts: mounts.records.filter(({ blob }) => stored(blob.digest)),
  };
  if (uploads.length === 0 && options.restored && saysTheSame(options.restored, document, options.now))
    return undefined;
  const tooMany = wanted.slice(MAX_UPLOADS).flatMap(({ files }) => files);
  return {
    v: 1,
    scope: options.scope,
    compression: options.compression,
    uploads,
    document,
    leftOut: [
      ...leftOut.map(({ descriptor: { digest, size }, madeBy }) => ({
        what: madeBy === 'mount' ? 'a cache mount' : digest.slice(0, 19),
        size,
        why: 'over the size limit of the cache',
      })),
      ...tooMany.map(({ digest, size }) => ({
        what: digest.slice(0, 19),
        size,
        why: 'more new layers than one run may save',
      })),
      ...leftOutMounts(mounts),
    ],
  };
}

const NO_MOUNTS: MountExport = { records: [], blobs: [], leftOut: [] };

/** The plan without the entries that could not be made: no index names what is not there. */
export function withoutEntries(plan: SavePlan, failed: ReadonlySet<string>): CacheDocument {
  const entries = plan.document.entries.filter(({ key }) => !failed.has(key));
  const have = new Set(entries.flatMap(({ blobs }) => blobs.map(({ digest }) => digest)));
  const layers = plan.document.index.layers.filter(({ blob }) => have.has(blob.digest));
  const mounts = plan.document.mounts.filter(({ blob }) => have.has(blob.digest));
  return { ...plan.document, entries, mounts, index: { ...plan.document.index, layers } };
}

/** From what costs most to make again to what costs least. */
const COSTLY: readonly ExportedBlob['madeBy'][] = ['exec', 'mount', 'file'];

/** Above the limit those go first that are cheapest to make again, and of those the largest. */
function withinSize(
  blobs: readonly ExportedBlob[],
  maxSize: number,
): { readonly kept: readonly ExportedBlob[]; readonly leftOut: readonly ExportedBlob[] } {
  const worth = [...blobs].sort(
    (a, b) => COSTLY.indexOf(a.madeBy) - COSTLY.indexOf(b.madeBy) || a.descriptor.size - b.descriptor.size,
  );
  const kept: ExportedBlob[] = [];
  const leftOut: ExportedBlob[] = [];
  let total = 0;
  for (const blob of worth) {
    if (total + blob.descriptor.size > maxSize) leftOut.push(blob);
    else {
      total += blob.descriptor.size;
      kept.push(blob);
    }
  }
  return { kept, leftOut: leftOut.reverse() };
}

/** Restored entries that are still there and still hold something that is wanted. */
function reusableEntries({ restored, available }: PlanOptions, kept: readonly ExportedBlob[]): readonly BlobEntry[] {
  const wanted = new Map(kept.map(({ descriptor, path }) => [descriptor.digest, path]));
  const useful = (restored?.entries ?? []).filter(({ blobs }) =>
    blobs.some(({ digest }) => available.has(digest) && wanted.has(digest)),
  );
  const packs = useful.filter(({ blobs }) => blobs.length > 1);
  const all = packs.flatMap(({ blobs }) => blobs).filter(({ digest }) => wanted.has(digest));
  // Only when all that they hold is here can fewer packs take their place.
  if (packs.length <= MAX_PACKS || all.some(({ digest }) => wanted.get(digest) === undefined)) return useful;
  return useful.filter(({ blobs }) => blobs.length === 1);
}

function toUploads(blobs: readonly ExportedBlob[]): readonly Upload[] {
  const files = blobs.flatMap(({ descriptor: { digest, size }, path }) =>
    path === undefined ? [] : [{ name: digest.slice('sha256:'.length), path, digest, size }],
  );
  const large = files.filter(({ size }) => size >= SMALL).map((file) => ({ ...blobName(file.name), files: [file] }));
  const packs = inPacks(files.filter(({ size }) => size < SMALL)).map((pack) => {
    const [only] = pack;
    const name = pack.length === 1 && only ? blobName(only.name) : packName(pack.map(({ name: hex }) => hex));
    return { ...name, files: pack };
  });
  return [...packs, ...large];
}

function inPacks(files: Upload['files']): readonly Upload['files'][] {
  const packs: Upload['files'][number][][] = [];
  let room = 0;
  for (const file of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const current = packs.at(-1);
    if (!current || file.size > room) {
      packs.push([file]);
      room = PACK - file.size;
    } else {
      current.push(file);
      room -= file.size;
    }
  }
  return packs;
}

function entryOf({ key, files }: Upload, compression: Compression): BlobEntry {
  return { key, compression, blobs: files.map(({ digest, size }) => ({ digest, size })) };
}

/** Equal but for the times of use, and those not a day old. */
function saysTheSame(restored: CacheDocument, next: CacheDocument, now: Date): boolean {
  const recordsOf = ({ index }: CacheDocument): string =>
    JSON.stringify(
      index.records.map(({ key, diffId, base, createdAt }) => [key, diffId, base, createdAt].join()).toSorted(),
    );
  const layersOf = ({ index }: CacheDocument): string =>
    JSON.stringify(index.layers.map(({ diffId, blob }) => `${diffId} ${blob.digest}`).toSorted());
  const entriesOf = ({ entries }: CacheDocument): string => JSON.stringify(entries.map(({ key }) => key).toSorted());
  const mountsOf = ({ mounts }: CacheDocument): string =>
    JSON.stringify(mounts.map(({ name, blob, steps }: MountRecord) => [name, blob.digest, ...steps]).toSorted());
  const newest = Math.max(0, ...restored.index.records.map(({ usedAt }) => Date.parse(usedAt)));
  return (
    recordsOf(restored) === recordsOf(next) &&
    layersOf(restored) === layersOf(next) &&
    entriesOf(restored) === entriesOf(next) &&
    mountsOf(restored) === mountsOf(next) &&
    keysOf(restored.passes).join() === keysOf(next.passes).join() &&
    now.getTime() - newest < REFRESH
  );
}

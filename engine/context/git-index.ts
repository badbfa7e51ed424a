import { createHash } from 'node:crypto';
import { keyOf } from './bytes.ts';

/** A regular file as the index of git knows it. */
export interface IndexedFile {
  /** Id of the blob that git holds for it, in hex. */
  readonly oid: string;
  readonly isExecutable: boolean;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** Of inode and size the index keeps the low 32 bits. */
  readonly inode: number;
  readonly size: number;
}

/** An index; paths are those in the work tree, one character a byte. */
export interface GitIndex {
  /** Regular files. What git would not compare with the disk is not among them. */
  readonly files: ReadonlyMap<string, IndexedFile>;
  /** All `.gitattributes`, of which git takes the indexed content where the file is missing. */
  readonly attributes: ReadonlySet<string>;
}

/** Ids of objects: SHA-1, or SHA-256 where the repository says so. */
export type ObjectFormat = 'sha1' | 'sha256';

const SIGNATURE = 'DIRC';
const HEADER = 12;
/** Numbers in front of the id of an entry: times, device, inode, mode, owner, size. */
const STAT = 40;
const REGULAR = new Map([
  [0o100644, false],
  [0o100755, true],
]);
/** Flags: git is told not to look at the file; more flags follow; the entry is one side of a conflict. */
const ASSUME_VALID = 0x8000;
const EXTENDED = 0x4000;
const STAGE = 0x3000;
/** Further flags: the file need not be on the disk; only its name was added. A bit that nobody knows makes the index unreadable. */
const SKIP_OR_INTENT = 0x6000;
const UNKNOWN = 0x9fff;

/**
 * The index of a repository (gitformat-index, versions 2 to 4). Bounded by its own length; nothing in it is believed that does not fit.
 *
 * @returns undefined for what is damaged, or needs more than this file: a split index, a sparse one, an extension that must be understood
 */
export function parseGitIndex(bytes: Buffer, format: ObjectFormat): GitIndex | undefined {
  const idLength = format === 'sha1' ? 20 : 32;
  const end = bytes.length - idLength;
  if (end < HEADER || bytes.toString('latin1', 0, 4) !== SIGNATURE) return undefined;
  const version = bytes.readUInt32BE(4);
  if (version < 2 || version > 4 || !isWhole(bytes, end, format)) return undefined;
  const reader: Reader = { bytes, end, idLength, version, at: HEADER, path: Buffer.alloc(0) };
  const files = new Map<string, IndexedFile>();
  const attributes = new Set<string>();
  const count = bytes.readUInt32BE(8);
  for (let read = 0; read < count; read += 1) {
    const entry = readEntry(reader);
    if (!entry) return undefined;
    if (entry.file) files.set(entry.key, entry.file);
    if (/(?:^|\/)\.gitattributes$/.test(entry.key)) attributes.add(entry.key);
  }
  return hasOnlyOptional(reader) ? { files, attributes } : undefined;
}

interface Reader {
  readonly bytes: Buffer;
  /** Where the checksum begins. */
  readonly end: number;
  readonly idLength: number;
  readonly version: number;
  at: number;
  /** Of the entry before: from version 4 on a path begins like that one. */
  path: Buffer;
}

/** The checksum at the end is right; with `index.skipHash` it is zeros. */
function isWhole(bytes: Buffer, end: number, format: ObjectFormat): boolean {
  const said = bytes.subarray(end);
  return said.every((byte) => byte === 0) || createHash(format).update(bytes.subarray(0, end)).digest().equals(said);
}

function readEntry(reader: Reader): { readonly key: string; readonly file: IndexedFile | undefined } | undefined {
  const { bytes, end, idLength, version } = reader;
  const begin = reader.at;
  const fixed = begin + STAT + idLength + 2;
  if (fixed + 2 > end) return undefined;
  const flags = bytes.readUInt16BE(fixed - 2);
  const isExtended = (flags & EXTENDED) !== 0;
  const further = isExtended ? bytes.readUInt16BE(fixed) : 0;
  if ((isExtended && version < 3) || (further & UNKNOWN) !== 0) return undefined;
  reader.at = isExtended ? fixed + 2 : fixed;
  if (!(version === 4 ? readShortPath(reader) : readPath(reader, begin))) return undefined;
  const isCompared = (flags & (ASSUME_VALID | STAGE)) === 0 && (further & SKIP_OR_INTENT) === 0;
  return { key: keyOf(reader.path), file: isCompared ? readFile(bytes, begin, idLength) : undefined };
}

function readFile(bytes: Buffer, at: number, idLength: number): IndexedFile | undefined {
  const isExecutable = REGULAR.get(bytes.readUInt32BE(at + 24));
  if (isExecutable === undefined) return undefined;
  return {
    oid: bytes.toString('hex', at + STAT, at + STAT + idLength),
    isExecutable,
    ctimeNs: timeAt(bytes, at),
    mtimeNs: timeAt(bytes, at + 8),
    inode: bytes.readUInt32BE(at + 20),
    size: bytes.readUInt32BE(at + 36),
  };
}

function timeAt(bytes: Buffer, at: number): bigint {
  return BigInt(bytes.readUInt32BE(at)) * 1_000_000_000n + BigInt(bytes.readUInt32BE(at + 4));
}

/** A path up to its NUL, then NULs until the length of the entry is a multiple of eight. */
function readPath(reader: Reader, begin: number): boolean {
  const nul = reader.bytes.indexOf(0, reader.at);
  if (nul < 0 || nul >= reader.end || nul === reader.at) return false;
  reader.path = reader.bytes.subarray(reader.at, nul);
  reader.at = begin + (Math.floor((nul - begin) / 8) + 1) * 8;
  return reader.at <= reader.end;
}

/** How many bytes of the path before to leave out, then the rest of the path up to its NUL. */
function readShortPath(reader: Reader): boolean {
  const { bytes, end, path } = reader;
  const removed = readVarint(reader);
  if (removed === undefined || removed > path.length) return false;
  const nul = bytes.indexOf(0, reader.at);
  if (nul < 0 || nul >= end) return false;
  reader.path = Buffer.concat([path.subarray(0, path.length - removed), bytes.subarray(reader.at, nul)]);
  reader.at = nul + 1;
  return reader.path.length > 0;
}

/** Seven bits a byte, the highest first, each but the last one counted from one. */
function readVarint(reader: Reader): number | undefined {
  let value = 0;
  for (let length = 0; length < 5 && reader.at < reader.end; length += 1) {
    const byte = reader.bytes[reader.at] ?? 0;
    reader.at += 1;
    value = value * 128 + (byte & 0x7f);
    if ((byte & 0x80) === 0) return value;
    value += 1;
  }
  return undefined;
}

/** Extensions whose name begins with a capital may be passed over; the others change what the entries mean. */
function hasOnlyOptional({ bytes, end, at: begin }: Reader): boolean {
  let at = begin;
  while (at < end) {
    if (at + 8 > end || !/^[A-Z]/.test(bytes.toString('latin1', at, at + 1))) return false;
    at += 8 + bytes.readUInt32BE(at + 4);
  }
  return at === end;
}

import { open, type FileHandle } from 'node:fs/promises';
import { messageOf } from '../../base/errors.ts';

/** Bytes of the tables that are read of a library; real ones have some kilobytes. */
const MAX_TABLE = 1024 * 1024;
const DYNAMIC = 2;
const LOAD = 1;
const DT_STRTAB = 5n;
const DT_SONAME = 14n;

/**
 * The name by which programs ask for a shared library (`libcuda.so.1` of `libcuda.so.550.54.15`), from its dynamic section (ELF, 64 bits,
 * little endian); undefined for a file that is none or has no such name.
 *
 * @throws an `Error` naming a file that cannot be read
 */
export async function sonameOf(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new Error(`Cannot read the library ${path}: ${messageOf(error)}`, { cause: error });
  });
  try {
    return await readSoname(file);
  } finally {
    await file.close();
  }
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

async function readSoname(file: FileHandle): Promise<string | undefined> {
  const header = await readAt(file, 0, 64);
  if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1)
    return undefined;
  const segments = await segmentsOf(file, header);
  const dynamic = segments.find(({ type }) => type === DYNAMIC);
  if (!dynamic) return undefined;
  const entries = entriesOf(await readAt(file, dynamic.offset, dynamic.size));
  const [table, at] = [entries.get(DT_STRTAB), entries.get(DT_SONAME)];
  if (table === undefined || at === undefined) return undefined;
  const home = segments.find(
    ({ type, address, size }) => type === LOAD && address <= table && table < address + BigInt(size),
  );
  if (!home) return undefined;
  const text = await readAt(file, home.offset + Number(table - home.address + at), 256);
  const name = text.subarray(0, Math.max(text.indexOf(0), 0)).toString('latin1');
  return /^[\w.+-]+$/.test(name) ? name : undefined;
}

async function segmentsOf(file: FileHandle, header: Buffer): Promise<readonly Segment[]> {
  const [start, size, count] = [Number(header.readBigUInt64LE(32)), header.readUInt16LE(54), header.readUInt16LE(56)];
  if (size < 56) return [];
  const table = await readAt(file, start, size * count);
  return Array.from({ length: Math.floor(table.length / size) }, (_, index) => {
    const at = index * size;
    return {
      type: table.readUInt32LE(at),
      offset: Number(table.readBigUInt64LE(at + 8)),
      address: table.readBigUInt64LE(at + 16),
      size: Number(table.readBigUInt64LE(at + 32)),
    };
  });
}

function entriesOf(section: Buffer): ReadonlyMap<bigint, bigint> {
  const entries = new Map<bigint, bigint>();
  for (let at = 0; at + 16 <= section.length; at += 16) {
    const tag = section.readBigUInt64LE(at);
    if (tag === 0n) break;
    entries.set(tag, section.readBigUInt64LE(at + 8));
  }
  return entries;
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  if (!Number.isSafeInteger(position) || position < 0 || length > MAX_TABLE) return Buffer.alloc(0);
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

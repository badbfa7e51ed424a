/** What a program of the Executable and Linkable Format needs to be started. */
export interface Elf {
  /** Node's name of the architecture, or the number of another one. */
  readonly machine: string;
  /** Program that loads it; undefined for one that is whole in itself. */
  readonly interpreter?: string | undefined;
  /** Names of the libraries that it asks for; undefined where the bytes at hand do not hold them. */
  readonly needed?: readonly string[] | undefined;
  /** Folders that it names for them, `$ORIGIN` not yet replaced. */
  readonly runPath: readonly string[];
}

const MACHINES: Readonly<Record<number, string>> = {
  3: 'ia32',
  40: 'arm',
  62: 'x64',
  183: 'arm64',
  22: 's390x',
  21: 'ppc64',
  243: 'riscv64',
};

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;
const MAX_SEGMENTS = 64;
const MAX_ENTRIES = 4096;

/**
 * Reads the head of a program or library (System V ABI, 64-bit and 32-bit, little-endian as both of our architectures).
 *
 * @returns undefined when it is none, or one that cannot be read
 */
export function parseElf(bytes: Buffer): Elf | undefined {
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[5] !== 1) return undefined;
  const is64 = bytes[4] === 2;
  const machine = bytes.readUInt16LE(18);
  const segments = segmentsOf(bytes, is64);
  const interp = segments.find(({ type }) => type === PT_INTERP);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  const libraries = dynamic === undefined ? { needed: [], runPath: [] } : librariesOf(bytes, is64, segments, dynamic);
  return {
    machine: MACHINES[machine] ?? `machine ${machine}`,
    interpreter: interp === undefined ? undefined : textAt(bytes, interp.offset),
    needed: libraries?.needed,
    runPath: libraries?.runPath ?? [],
  };
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function segmentsOf(bytes: Buffer, is64: boolean): readonly Segment[] {
  const table = is64 ? number(bytes, 32) : bytes.readUInt32LE(28);
  const size = bytes.readUInt16LE(is64 ? 54 : 42);
  const count = Math.min(bytes.readUInt16LE(is64 ? 56 : 44), MAX_SEGMENTS);
  return Array.from({ length: count }, (_none, index) => table + index * size)
    .filter((at) => at + (is64 ? 56 : 32) <= bytes.length)
    .map((at) =>
      is64
        ? { type: bytes.readUInt32LE(at), offset: number(bytes, at + 8), address: number(bytes, at + 16), size: number(bytes, at + 32) }
        : { type: bytes.readUInt32LE(at), offset: bytes.readUInt32LE(at + 4), address: bytes.readUInt32LE(at + 8), size: bytes.readUInt32LE(at + 16) },
    ); // prettier-ignore
}

function librariesOf(
  bytes: Buffer,
  is64: boolean,
  segments: readonly Segment[],
  dynamic: Segment,
): { readonly needed: readonly string[]; readonly runPath: readonly string[] } | undefined {
  const entries = entriesOf(bytes, is64, dynamic);
  const address = entries.find(([tag]) => tag === DT_STRTAB)?.[1];
  const load = segments.find(
    (one) =>
      one.type === PT_LOAD && address !== undefined && address >= one.address && address < one.address + one.size,
  );
  if (address === undefined || load === undefined) return undefined;
  const strings = load.offset + (address - load.address);
  const textsOf = (...tags: readonly bigint[]): readonly (string | undefined)[] =>
    entries.filter(([tag]) => tags.includes(tag)).map(([, value]) => textAt(bytes, strings + value));
  const needed = textsOf(DT_NEEDED);
  const paths = textsOf(DT_RPATH, DT_RUNPATH);
  if ([...needed, ...paths].includes(undefined)) return undefined;
  return {
    needed: needed.flatMap((name) => name ?? []),
    runPath: paths.flatMap((path) => (path ?? '').split(':')).filter((path) => path !== ''),
  };
}

function entriesOf(bytes: Buffer, is64: boolean, { offset, size }: Segment): readonly (readonly [bigint, number])[] {
  const width = is64 ? 16 : 8;
  const entries: (readonly [bigint, number])[] = [];
  for (let at = offset; at < offset + size && entries.length < MAX_ENTRIES; at += width) {
    if (at < 0 || at + width > bytes.length) break;
    const tag = is64 ? bytes.readBigUInt64LE(at) : BigInt(bytes.readUInt32LE(at));
    if (tag === 0n) break;
    entries.push([tag, is64 ? number(bytes, at + 8) : bytes.readUInt32LE(at + 4)]);
  }
  return entries;
}

/** A 64-bit number; one that no offset can be leads nowhere. */
function number(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

/** The text that ends with a zero; undefined where the bytes do not hold it. */
function textAt(bytes: Buffer, at: number): string | undefined {
  if (!Number.isSafeInteger(at) || at >= bytes.length) return undefined;
  const end = bytes.indexOf(0, at);
  return end < 0 ? undefined : bytes.toString('utf8', at, end);
}

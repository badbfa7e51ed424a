import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** Compiled code of one part. */
export interface Code {
  readonly name: string;
  /** What tells the file that it was made of from another one. */
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** The code that earlier commands of a kind left, in one file. */
export interface KeptCode {
  /** The sets of options whose functions are in it. */
  readonly kinds: readonly string[];
  /** Code of a part, when that is the same file. */
  readonly of: (name: string, version: string) => Buffer | undefined;
  /** Puts other code in its place, which has all functions of the kinds before it when `hasAll`, and those of `kind`. */
  readonly write: (codes: readonly Code[], kind: string, hasAll: boolean) => void;
}

/** What stands before the code: for each part its version, and where its code is in what follows. */
interface Head {
  readonly kinds: readonly string[];
  readonly parts: Readonly<Record<string, readonly [version: string, at: number, length: number]>>;
}

/** How many sets of options are told apart: beyond, code is taken as it is. */
const MAX_KINDS = 50;
/** Milliseconds after which a file is removed by the next command that keeps code, also one that is in use: it is made anew. */
const MAX_AGE = 30 * 24 * 60 * 60_000;
const END = '.code';

/**
 * Code in `folder`, which must be the user's own: V8 runs what it finds. Without a folder nothing is found and nothing is kept, and where
 * something cannot be read or written it is compiled again: nothing here fails a command.
 */
export function createKeptCode(folder: string | undefined, name: string): KeptCode {
  const path = folder === undefined ? undefined : join(folder, `${name}-${process.version}-${process.arch}${END}`);
  const { head, bytes } = (path === undefined ? undefined : read(path)) ?? EMPTY;
  return {
    kinds: head.kinds,
    of: (part, version) => {
      const [known, at = 0, length = 0] = head.parts[part] ?? [];
      return known === version ? bytes.subarray(at, at + length) : undefined;
    },
    write: (codes, kind, hasAll) => {
      if (folder === undefined || path === undefined || head.kinds.length >= MAX_KINDS) return;
      try {
        write(path, codes, hasAll ? [...head.kinds, kind] : [kind]);
        removeOld(folder);
      } catch {
        // It is compiled again.
      }
    },
  };
}

const EMPTY: { readonly head: Head; readonly bytes: Buffer } = {
  head: { kinds: [], parts: {} },
  bytes: Buffer.alloc(0),
};

/**
 * The length of the head in 4 bytes, the head as JSON, the code; all of it twice. V8 does not look whether the bytes are those that it gave, and
 * comparing two copies needs no part of Node that is not there yet, as a checksum does.
 */
function read(path: string): { readonly head: Head; readonly bytes: Buffer } | undefined {
  try {
    const twice = readFileSync(path);
    const all = twice.subarray(0, twice.length / 2);
    if (all.length < 4 || !all.equals(twice.subarray(all.length))) return undefined;
    const end = 4 + all.readUInt32LE(0);
    // Type: the folder is the user's own, and whole files alone are put there.
    const head = JSON.parse(all.toString('latin1', 4, end)) as Head | null;
    return head?.parts ? { head, bytes: all.subarray(end) } : undefined;
  } catch {
    return undefined;
  }
}

/** Whole or not at all, also after a loss of power. */
function write(path: string, codes: readonly Code[], kinds: readonly string[]): void {
  const parts: Record<string, readonly [string, number, number]> = {};
  let at = 0;
  for (const { name, version, bytes } of codes) {
    parts[name] = [version, at, bytes.length];
    at += bytes.length;
  }
  const head = Buffer.from(JSON.stringify({ kinds, parts } satisfies Head), 'latin1');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  const fresh = `${path}.${process.pid}`;
  try {
    const file = openSync(fresh, 'wx', 0o600);
    try {
      const all = Buffer.concat([length, head, ...codes.map((code) => code.bytes)]);
      for (const bytes of [all, all]) writeAll(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

/** Files of versions that are not used any more, and what a killed command left. */
function removeOld(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.includes(END)) continue;
    const path = join(folder, name);
    if (Date.now() - statSync(path).mtimeMs > MAX_AGE) rmSync(path, { force: true });
  }
}

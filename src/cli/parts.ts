import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { kindOf, numberOf } from './command-kind.ts';
import { createKeptCode, type Code } from './kept-code.ts';

/** The files that the bundled program lies in. */
export interface Parts {
  /** Runs a part, the first time that it is asked for, and gives what it exports. */
  readonly load: (name: string) => unknown;
  /** Keeps the code of the functions that this command called, for the next one of its kind, when none is kept yet. */
  readonly keep: () => void;
}

/** Where parts and their code are. */
export interface PartsOptions {
  /** Where the parts lie. */
  readonly folder: string;
  /** The part that loads the others; its name has a hash of them all. */
  readonly main: string;
  /** A folder that nobody but the user can write to; undefined keeps no code. */
  readonly kept: string | undefined;
  /** The command line. */
  readonly words: readonly string[];
  /** Flags of Node and V8, to which code is bound. */
  readonly flags: readonly string[];
  /** Loads a part of Node. */
  readonly require: (id: string) => unknown;
}

/** A part that was loaded. */
interface Loaded {
  readonly module: { readonly exports: unknown };
  readonly script: Script;
  readonly version: string;
}

/**
 * Loads CommonJS files, each the expression of its function, with the code that V8 made of them for an earlier command. Node's own cache keeps
 * what is compiled when a file is loaded, which leaves out every function that is called later.
 *
 * V8 rejects code of another version of itself, of other flags or of a text of another length, and believes everything else. So code counts for
 * the very file that it was made of: its name has a hash of the text, and its inode, size and times are looked at.
 */
export function createParts({ folder, main, kept, words, flags, require }: PartsOptions): Parts {
  const kind = kindOf(words);
  const code = createKeptCode(kept, `${kind.command}-${main}-${numberOf([folder, ...flags].join(' '))}`);
  const loaded = new Map<string, Loaded>();
  let isWhole = true;
  const requireFrom = (id: string): unknown => {
    if (id.startsWith('./')) return load(id.slice(2));
    return LATE.has(id) ? loadLate(() => require(id)) : require(id);
  };
  const load = (name: string): unknown => {
    const known = loaded.get(name);
    if (known) return known.module.exports;
    const path = join(folder, name);
    const { text, version } = read(path);
    const kept = code.of(name, version);
    const script = new Script(text, {
      filename: path,
      ...(kept ? { cachedData: kept } : {}),
    });
    isWhole &&= kept !== undefined && script.cachedDataRejected !== true;
    const module = { exports: {} };
    loaded.set(name, { module, script, version });
    // Type: the bundler writes a part as one function expression.
    const run = script.runInThisContext() as (...args: readonly unknown[]) => void;
    run(module.exports, requireFrom, module, path);
    return module.exports;
  };
  const keep = (): void => {
    if (isWhole && code.kinds.includes(kind.options)) return;
    const made = [...loaded].map(([name, { script, version }]): Code => {
      return { name, version, bytes: script.createCachedData() };
    });
    code.write(made, kind.options, isWhole);
  };
  return { load, keep };
}

/** Parts of Node that take milliseconds to load and that many commands do not need. The bundler asks for what they export by its name, each time. */
const LATE = new Set(['node:crypto']);

/** An object in place of a part of Node, which is loaded when something in it is first asked for. */
function loadLate(load: () => unknown): unknown {
  let loaded: object | undefined;
  return new Proxy(
    {},
    // Type: a part of Node is an object.
    { get: (_, name) => Reflect.get((loaded ??= load() as object), name) as unknown },
  );
}

/** The text of a part, and what tells this file from another one. The bundler writes ASCII alone: a byte a character is quicker than UTF-8. */
function read(path: string): { readonly text: string; readonly version: string } {
  const file = openSync(path, 'r');
  try {
    const { ino, size, mtimeMs, ctimeMs } = fstatSync(file);
    const bytes = Buffer.allocUnsafeSlow(size);
    for (let at = 0; at < size;) {
      const read = readSync(file, bytes, at, size - at, at);
      if (read === 0) throw new Error(`Cannot read ${path}: it became shorter`);
      at += read;
    }
    return { text: bytes.toString('latin1'), version: [ino, size, mtimeMs, ctimeMs].join(' ') };
  } finally {
    closeSync(file);
  }
}

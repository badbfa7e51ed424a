import { join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { isDigest } from '../image/digest.ts';
import type { Digest } from '../image/types.ts';
import { isRecord, readJson, replaceFile } from './files.ts';

/** A fully qualified name, and the image or index that it stands for. */
export interface Name {
  readonly name: string;
  readonly id: Digest;
  /** Whose it is, and who alone sees it; left out: all. */
  readonly scope?: string | undefined;
}

/** Every name of the store. Within a scope, and among those of all, each is there once. */
export type Names = readonly Name[];

/** `images/names.json`. What it holds is the user's: a broken file is an error, and the backup of the last write is named. */
export interface NameFile {
  read(): Promise<Names>;
  write(names: Names): Promise<void>;
}

export function createNameFile(root: string): NameFile {
  const path = join(root, 'images', 'names.json');
  return {
    read: async () => {
      const file = readJson(path);
      if ('missing' in file) return [];
      const names = 'value' in file ? parseNames(file.value) : undefined;
      if (names) return names;
      throw new EngineError('STORE_CORRUPT', `Cannot read ${path}: it is not a list of names`, {
        hint: `Run \`berth system fsck --repair\`, which takes ${path}.bak`,
      });
    },
    write: async (names) => {
      const scopes = [...new Set(names.flatMap(({ scope }) => scope ?? []))].sort();
      const own = scopes.map((scope) => [scope, tableOf(names, scope)] as const);
      // Where no scope has a name, the file is as it was before there were any.
      const file = {
        v: 1,
        names: tableOf(names, undefined),
        ...(own.length > 0 && { scopes: Object.fromEntries(own) }),
      };
      await replaceFile(path, JSON.stringify(file, null, 1), { backup: true });
    },
  };
}

/** The names of a scope, or of all, by which the file has them. */
function tableOf(names: Names, scope: string | undefined): Readonly<Record<string, Digest>> {
  const own = names.filter((one) => one.scope === scope).sort((a, b) => (a.name < b.name ? -1 : 1));
  return Object.fromEntries(own.map(({ name, id }) => [name, id]));
}

/** What the file holds; undefined when it is something else. */
export function parseNames(value: unknown): Names | undefined {
  if (!isRecord(value)) return undefined;
  const { scopes = {} } = value;
  if (!isTable(value.names) || !isRecord(scopes)) return undefined;
  const names: Name[] = Object.entries(value.names).map(([name, id]) => ({ name, id }));
  for (const [scope, table] of Object.entries(scopes)) {
    if (!isTable(table)) return undefined;
    names.push(...Object.entries(table).map(([name, id]) => ({ name, id, scope })));
  }
  return names;
}

function isTable(value: unknown): value is Readonly<Record<string, Digest>> {
  return isRecord(value) && Object.values(value).every(isDigest);
}

/** The names with some that now stand for an image, in a scope or for all. */
export function pointNames(names: Names, added: readonly string[], id: Digest, scope: string | undefined): Names {
  const left = names.filter((one) => one.scope !== scope || !added.includes(one.name));
  return [...left, ...[...new Set(added)].map((name) => ({ name, id, scope }))];
}

/** What names lead to one image, as a scope sees it. */
export interface NamesOf {
  /** Those that the scope sees: its own, and of those of all the ones that it has not itself. */
  readonly names: readonly string[];
  /** Those that are not its own: of other scopes, and in a scope those of all, seen or not. */
  readonly othersNames?: readonly string[] | undefined;
}

/** @param scope undefined: sees only the names of all, which are then its own */
export function createNamesOf(names: Names, scope: string | undefined): (id: Digest) => NamesOf {
  const own = new Set(names.filter((one) => one.scope === scope).map(({ name }) => name));
  const isSeen = (one: Name): boolean => one.scope === scope || (one.scope === undefined && !own.has(one.name));
  return (id) => {
    const leading = names.filter((one) => one.id === id);
    const others = leading.filter((one) => one.scope !== scope).map(({ name }) => name);
    return {
      names: leading.filter(isSeen).map(({ name }) => name),
      ...(others.length > 0 && { othersNames: others }),
    };
  };
}

/** Whether anybody has a name for it: then it is no leftover. */
export function isNamed({ names, othersNames = [] }: NamesOf): boolean {
  return names.length + othersNames.length > 0;
}

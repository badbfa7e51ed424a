import { lstatSync } from 'node:fs';
import { dirname, join, posix, resolve } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { suggest } from '../base/suggest.ts';
import type { Tree } from './listing.ts';
import type { SelectOptions } from './types.ts';
import type { Skipped } from './walk.ts';

/** More names than this are not compared for a suggestion. */
const MAX_CANDIDATES = 5000;
const MAX_LENGTH = 200;
/** An absolute path of two names or more. */
const NAMES = /^\/[^/]+\/[^/]/;

/** What was listed, and what was not. */
export interface Listed {
  readonly tree: Tree;
  readonly skipped: readonly Skipped[];
  /** The ignore file in use. */
  readonly ignorePath: string | undefined;
  /** What the context is called; null: there is none. Default: its path. */
  readonly name?: string | null | undefined;
}

/** Who asks: COPY and ADD name a path, a mount has it behind `source=`. */
type Asked = Pick<SelectOptions, 'isMount'>;

/** What is said of a source, and what to do. */
interface Explanation {
  readonly state: string;
  readonly hint?: string | undefined;
}

/** The error for a source that is not in the context: says when an ignore file hides it or it cannot be copied, else what may be meant. */
export function createMissing(root: string, listed: Listed): (source: string, how: Asked) => EngineError {
  return (source, how) => {
    // `..` stops at the root, as in the search: what is found there is the reason, not that the source climbs.
    const clean = posix.resolve('/', source).slice(1);
    const { state, hint } =
      explainNone(listed) ??
      explain(root, clean, listed, how) ??
      explainAbove(root, source, listed) ??
      suggestFor(root, clean, listed, how);
    const shown = escapeControl(isOfMachine(root, clean, listed) ? `/${clean}` : source);
    const action = how.isMount ? `mount "${shown}" by RUN --mount=type=bind,source=${shown}` : `copy "${shown}"`;
    return new EngineError('COPY_SOURCE_NOT_FOUND', `Cannot ${action}: ${state}`, { hint });
  };
}

/** A Dockerfile came where the context was expected. */
function explainNone({ name }: Listed): Explanation | undefined {
  if (name !== null) return undefined;
  const hint = 'Give the folder of its files, and the Dockerfile with -f: berth build -f - . < Dockerfile';
  return { state: 'the Dockerfile came without a build context', hint };
}

/** Why what lies at the path in the context is not copied; undefined when nothing does. */
function explain(
  root: string,
  clean: string,
  { tree, skipped, ignorePath }: Listed,
  how: Asked,
): Explanation | undefined {
  const shown = escapeControl(clean);
  const special = skipped.find(({ path }) => path === shown);
  if (special) return { state: `it is ${special.reason}` };
  if (ignorePath !== undefined && exists(join(root, clean))) {
    return { state: `${ignorePath} hides it from the build context`, hint: `Add !${shown} to ${ignorePath}` };
  }
  // A path of this machine, as COPY does not take it.
  const own = `/${clean}`.startsWith(`${root}/`) ? `/${clean}`.slice(root.length + 1) : undefined;
  if (own === undefined || !tree.get(Buffer.from(own))) return undefined;
  return { state: 'its paths begin at the build context', hint: `Write ${written(own, how)}` };
}

/** A source that climbs out: what is above the context is not sent, whatever is there. */
function explainAbove(root: string, source: string, { name }: Listed): Explanation | undefined {
  const climb = /^(?:\.\.\/)+/.exec(source)?.[0];
  if (climb === undefined) return undefined;
  if (name) {
    const state = `the build context ${name} does not hold what is above it`;
    return { state, hint: 'Paths begin at the root of the context: leave out ../' };
  }
  const above = resolve(root, climb);
  const path = escapeControl(source.slice(climb.length));
  return {
    state: `the build context ${root} does not hold what is above it`,
    hint: `Build with the context ${above} and name the Dockerfile with --file, or add --build-context above=${above} and write COPY --from=above ${path}`,
  };
}

function suggestFor(root: string, clean: string, { tree, name }: Listed, how: Asked): Explanation {
  const names =
    clean.length > MAX_LENGTH ? [] : tree.entries.slice(0, MAX_CANDIDATES).map(({ path }) => path.toString('utf8'));
  const near = suggest(clean, names);
  const shown = name ?? root;
  const begin = `Paths begin at the root of the context ${shown}`;
  const all = how.isMount ? `${begin}; leave source= out to mount all of it` : begin;
  const hint = near === undefined ? all : `Did you mean ${written(near, how)}?`;
  return { state: `it is not in the build context ${shown}`, hint };
}

/** A path as it is typed. */
function written(path: string, { isMount }: Asked): string {
  return `${isMount ? 'source=' : ''}${escapeControl(path)}`;
}

/**
 * A path below the context's own folder, or beside it: it was written with a `/` in front, which the graph leaves out. One name alone in common
 * (`src` of /src/app) is no sign of it, nor is a folder that the context has itself.
 */
function isOfMachine(root: string, clean: string, { tree }: Listed): boolean {
  const [first = ''] = clean.split('/');
  const isBelow = [root, dirname(root)].some((folder) => NAMES.test(folder) && `/${clean}`.startsWith(`${folder}/`));
  return isBelow && !tree.isDirectory(Buffer.from(first));
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

import { lstatSync } from 'node:fs';
import { join, posix } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { suggest } from '../base/suggest.ts';
import type { Tree } from './listing.ts';
import type { Skipped } from './walk.ts';

/** More names than this are not compared for a suggestion. */
const MAX_CANDIDATES = 5000;
const MAX_LENGTH = 200;

/** What was listed, and what was not. */
export interface Listed {
  readonly tree: Tree;
  readonly skipped: readonly Skipped[];
  /** The ignore file in use. */
  readonly ignorePath: string | undefined;
}

/** The error for a source that is not in the context: says when an ignore file hides it or it cannot be copied, else what may be meant. */
export function createMissing(root: string, listed: Listed): (source: string) => EngineError {
  return (source) => {
    const clean = posix.resolve('/', source).slice(1);
    const { state, hint } = explain(root, clean, listed);
    return new EngineError('COPY_SOURCE_NOT_FOUND', `Cannot copy "${escapeControl(source)}": ${state}`, { hint });
  };
}

function explain(
  root: string,
  clean: string,
  { tree, skipped, ignorePath }: Listed,
): { readonly state: string; readonly hint?: string | undefined } {
  const shown = escapeControl(clean);
  const special = skipped.find(({ path }) => path === shown);
  if (special) return { state: `it is ${special.reason}` };
  if (ignorePath !== undefined && exists(join(root, clean))) {
    return { state: `${ignorePath} hides it from the build context`, hint: `Add !${shown} to ${ignorePath}` };
  }
  const names =
    clean.length > MAX_LENGTH ? [] : tree.entries.slice(0, MAX_CANDIDATES).map(({ path }) => path.toString('utf8'));
  const near = suggest(clean, names);
  const hint = near === undefined ? undefined : `Did you mean ${escapeControl(near)}?`;
  return { state: `it is not in the build context ${root}`, hint };
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

import { posix } from 'node:path';

/** The working directory after WORKDIR: relative paths go below the one before. */
export function workdirAfter(before: string, path: string): string {
  return trimSlash(posix.resolve('/', before, path));
}

/** A destination of COPY: absolute, clean, and whether it is written as a directory. */
export interface Destination {
  readonly path: string;
  readonly isDirectory: boolean;
}

/** Where a COPY goes: relative to the working directory; a final slash or dot, or nothing at all, means a directory. */
export function destinationOf(workdir: string, dest: string): Destination {
  const isDirectory = dest === '' || /(?:^|\/)\.{0,2}$/.test(dest);
  return { path: trimSlash(posix.resolve('/', workdir, dest)), isDirectory };
}

/** A source in a stage: absolute, `..` stops at the root. */
export function stageSource(source: string): string {
  return trimSlash(posix.resolve('/', source));
}

/**
 * A source in the context: relative, `..` stops at its root, which is `.`. What climbs out of it keeps its `..`, for the message when the
 * context has no such file.
 */
export function contextSource(source: string): string {
  const path = stageSource(source).slice(1);
  if (path === '') return '.';
  const asWritten = posix.normalize(source.replace(/^\/+/, ''));
  return asWritten.startsWith('../') ? trimSlash(asWritten) : path;
}

/**
 * A source of `--parents`: the directory that the copy begins in, up to `/./`, else the root, and the path or pattern below it that is
 * meant (empty: all).
 */
export function splitAtPivot(source: string): { readonly base: string; readonly include: string } {
  const at = source.indexOf('/./');
  const [base, rest] = at < 0 ? ['/', source] : [source.slice(0, at), source.slice(at + 3)];
  return { base, include: stageSource(rest).slice(1) };
}

/** A path as Go `filepath.Match` pattern that matches it alone: the source of a mount is a path, that of a copy a pattern. */
export function literal(path: string): string {
  return path.replace(/[*?[]/g, '[$&]');
}

function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

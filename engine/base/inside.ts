import { isAbsolute, relative } from 'node:path';

/** True for `folder` itself and for what lies below it. Both are absolute, and links are resolved by who wants them to be. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith('../') && !isAbsolute(way));
}

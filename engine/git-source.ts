import { parseGitReference } from './dockerfile/git/reference.ts';
import type { GitSource } from './graph/types.ts';

/**
 * A repository as build context: `url#ref:subdir`, `url?ref=…&subdir=…`, or `github.com/…`.
 *
 * @returns undefined when the text is none
 * @throws an error that says what is wrong with its parameters
 */
export function parseGitSource(text: string): GitSource | undefined {
  const found = parseGitReference(text);
  if (!found) return undefined;
  const { remote, ref, subdir, checksum, mtime, isLikeLocal, keepGitDir = false, submodules = true } = found;
  const address = isLikeLocal ? `https://${remote}` : remote;
  return { type: 'git', remote: address, ref, subdir, checksum, mtime, keepGitDir, submodules };
}

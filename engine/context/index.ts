/** The build context: one walk, `.dockerignore`, selection and digests. Source: spec/bad-inputs.md B and C. */
export { readHiddenSources } from './hidden.ts';
export { openContext } from './open.ts';
export type { OpenContextOptions, ReadContents } from './open.ts';
export type { StatCache } from './hashes.ts';
export type { GitTrust } from './git-worktree.ts';
export { checkOut, resolveCommit, type GitOptions, type GitTree } from './git.ts';
export { download, type Downloaded, type KnownDownload, type WebClient } from './http.ts';
export { cleanPatterns } from './filter.ts';
export type { Context, ContextEntry, Selected, SelectOptions } from './types.ts';

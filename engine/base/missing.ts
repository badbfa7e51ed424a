/** Whether an error of `node:fs` says that nothing is there. Any other one says that this process cannot know. */
export function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}

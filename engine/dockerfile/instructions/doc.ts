/** The comment that documents a name: the line above that starts with it. */
export function docOf(comments: readonly string[], name: string): string {
  if (name === '') return '';
  const line = comments.find((comment) => comment.startsWith(`${name} `));
  return line === undefined ? '' : line.slice(name.length + 1);
}

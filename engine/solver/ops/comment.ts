import type { Op } from '../../graph/types.ts';

/** What to type where a source that is not there is a word of a comment: a Dockerfile has comments on lines of their own alone. */
export function commentHint(op: Op): string | undefined {
  const words = op.type !== 'file' ? [] : op.actions.flatMap((one) => (one.action === 'copy' ? wordsOf(one) : []));
  return words.some((word) => /^[./]*#/.test(word))
    ? 'Put the comment on a line of its own: behind COPY, # is read as a path'
    : undefined;
}

function wordsOf({ sources, dest }: { readonly sources: readonly string[]; readonly dest: string }): readonly string[] {
  return [...sources, dest.slice(dest.lastIndexOf('/') + 1)];
}

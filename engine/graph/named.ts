import { isEngineError } from '../base/errors.ts';
import { formatReference, parseReference, withDefaultTag } from '../image/reference.ts';
import type { NamedContext } from './options.ts';

/** A named context as base of a stage: an image by its reference, or files. */
export type NamedBase =
  { readonly type: 'image'; readonly name: string } | { readonly type: 'files'; readonly name: string };

/**
 * The named context that a name means: the same name in any case, or another way to write the same image (`alpine` is
 * `docker.io/library/alpine:latest`).
 */
export function contextNamed(contexts: Readonly<Record<string, NamedContext>>, name: string): NamedBase | undefined {
  if (name === '') return undefined;
  const found = Object.keys(contexts).find((known) => isSame(known, name));
  const context = found === undefined ? undefined : contexts[found];
  if (found === undefined || !context) return undefined;
  return context.type === 'image' ? { type: 'image', name: context.reference } : { type: 'files', name: found };
}

function isSame(known: string, name: string): boolean {
  return known.toLowerCase() === name.toLowerCase() || canonical(known) === canonical(name);
}

/** The full form of an image's name; the text itself when it is none. */
function canonical(name: string): string {
  try {
    return formatReference(withDefaultTag(parseReference(name.toLowerCase())));
  } catch (error) {
    if (isEngineError(error)) return name;
    throw error;
  }
}

import { EngineError } from './base/errors.ts';
import { formatReference, parseReference, withDefaultTag } from './image/reference.ts';

/**
 * A name to give to an image, in full: `model` becomes `docker.io/library/model:latest`.
 *
 * @throws `REFERENCE_INVALID`; a digest cannot be given, it follows from the content
 */
export function requireTag(text: string): string {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest === undefined) return formatReference(reference);
  throw new EngineError('REFERENCE_INVALID', `Cannot name an image ${text}: a name has a tag, not a digest`, {
    hint: `Write ${text.split('@')[0]}`,
  });
}

import { EngineError } from '../base/errors.ts';
import { IDENTIFIER, NAME, REFERENCE, MAX_PATH } from './grammar.ts';
import { referenceError } from './reference-error.ts';

/** The name of an image, fully qualified. */
export interface Reference {
  /** Host and optional port: `docker.io`, `ghcr.io`, `127.0.0.1:5000`. Empty only from {@link parseStrict}. */
  readonly domain: string;
  /** The repository below it: `library/python`. */
  readonly path: string;
  readonly tag?: string;
  /** As written; the grammar also knows algorithms that the engine refuses later, by name (`parseDigest`). */
  readonly digest?: string;
}

const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DOMAIN = 'index.docker.io';
const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };
/** No valid reference is longer; keeps the grammar's work bounded. */
const MAX_LENGTH = 1024;

/**
 * What a user types as a full name: `python:3.12` becomes `docker.io/library/python:3.12`. No tag is added: see {@link withDefaultTag}.
 *
 * @throws `REFERENCE_INVALID` naming what is wrong: upper case, a look-alike letter, a scheme, a length
 */
export function parseReference(text: string): Reference {
  if (IDENTIFIER.test(text)) {
    throw new EngineError('REFERENCE_INVALID', `Cannot use '${text}' as an image name: it is an image id`, {
      hint: `Write sha256:${text}, or the name of the image`,
    });
  }
  const { domain, remainder } = splitDomain(text);
  const path = remainder.split(':', 1)[0] ?? '';
  if (path.toLowerCase() !== path) throw referenceError(text, 'upper case', path);
  return parseStrict(`${domain}/${remainder}`, text);
}

/**
 * The grammar alone, without Docker's defaults; `shown` is the text for errors.
 *
 * @throws `REFERENCE_INVALID`
 */
export function parseStrict(text: string, shown: string = text): Reference {
  const match = text.length <= MAX_LENGTH ? REFERENCE.exec(text) : null;
  const name = match?.[1] === undefined ? null : NAME.exec(match[1]);
  if (!match || !name) throw referenceError(shown, REFERENCE.test(text.toLowerCase()) ? 'upper case' : 'form');
  const [domain, path] = [name[1] ?? '', name[2] ?? ''];
  if (path.length > MAX_PATH) throw referenceError(shown, 'length', path);
  const [tag, digest] = [match[2], match[3]];
  if (digest !== undefined && !isKnownDigest(digest)) throw referenceError(shown, 'digest', digest);
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** The reference in full: `docker.io/library/python:3.12`. */
export function formatReference(reference: Reference): string {
  return `${nameOf(reference)}${suffixOf(reference)}`;
}

/** Domain and path: `docker.io/library/python`. */
export function nameOf(reference: Reference): string {
  return reference.domain === '' ? reference.path : `${reference.domain}/${reference.path}`;
}

/** The short name that Docker shows: `python`. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return nameOf(reference);
  const short = reference.path.startsWith('library/') ? reference.path.slice('library/'.length) : reference.path;
  return short.includes('/') ? reference.path : short;
}

/** The short form with tag and digest: `python:3.12`. */
export function familiarString(reference: Reference): string {
  return `${familiarName(reference)}${suffixOf(reference)}`;
}

/** With `latest` where there is neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference;
}

/** The form for pulling: a digest wins over a tag, and without both it is `latest`. */
export function toPullReference(reference: Reference): Reference {
  if (reference.digest === undefined) return withDefaultTag(reference);
  const { domain, path, digest } = reference;
  return { domain, path, digest };
}

/** Like {@link parseReference}, but also takes an image id or a digest alone, which it gives as `{ id }`. */
export function parseAnyReference(text: string): Reference | { readonly id: string } {
  if (IDENTIFIER.test(text)) return { id: `sha256:${text}` };
  if (isKnownDigest(text)) return { id: text };
  return parseReference(text);
}

function suffixOf({ tag, digest }: Reference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** A first component is a host when it holds a dot, a colon or an upper-case letter, or is localhost. */
function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  const isHost = first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first;
  const domain = !isHost || first === LEGACY_DOMAIN ? DEFAULT_DOMAIN : first;
  const remainder = isHost ? text.slice(slash + 1) : text;
  if (domain === DEFAULT_DOMAIN && !remainder.includes('/')) return { domain, remainder: `library/${remainder}` };
  return { domain, remainder };
}

function isKnownDigest(text: string): boolean {
  const [algorithm = '', hex = ''] = text.split(':');
  return HEX_LENGTH[algorithm] === hex.length && /^[0-9a-f]+$/.test(hex) && text === `${algorithm}:${hex}`;
}

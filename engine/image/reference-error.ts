import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { MAX_PATH, TAG } from './grammar.ts';

/** Why the grammar said no; `form` is looked at more closely here. */
export type ReferenceFault = 'upper case' | 'length' | 'digest' | 'form';

/**
 * `REFERENCE_INVALID`, saying which part of `text` is wrong and what to write instead.
 *
 * @param part the guilty part, where the caller knows it
 */
export function referenceError(text: string, fault: ReferenceFault, part: string = text): EngineError {
  const [state, hint] = explain(text, fault, part);
  return new EngineError('REFERENCE_INVALID', `Cannot use '${shown(text)}' as an image name: ${state}`, { hint });
}

function explain(text: string, fault: ReferenceFault, part: string): readonly [string, string | undefined] {
  if (text === '') return ['it is empty', undefined];
  const variable = /\$\{?\w*\}?/.exec(text);
  if (variable)
    return [
      `the variable ${shown(variable[0])} was left in it`,
      'Give the variable a value, as an ARG before FROM or with --build-arg',
    ];
  const foreign = [...text].find((c) => c < '!' || c > '~');
  if (foreign !== undefined)
    return [
      `${codePoint(foreign)} isn't a letter of an image name`,
      'Type the name again; letters that look alike may differ',
    ];
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text);
  if (scheme) return [`it starts with the scheme ${shown(scheme[0])}`, `Leave out ${shown(scheme[0])}`];
  if (fault === 'upper case')
    return [`the repository '${shown(part)}' must be lower case`, `Write ${shown(lowerRepository(text, part))}`];
  if (fault === 'length')
    return [`the repository has ${part.length} characters, and at most ${MAX_PATH} are allowed`, undefined];
  if (fault === 'digest') return [`${shown(part)} isn't a digest`, 'A digest is sha256: and 64 lower-case hex digits'];
  return explainForm(text);
}

/** The part may have got a `library/` that was not written. */
function lowerRepository(text: string, part: string): string {
  const written = text.includes(part) ? part : part.replace(/^library\//, '');
  return text.replace(written, written.toLowerCase());
}

function explainForm(text: string): readonly [string, string | undefined] {
  const [name = '', digest] = text.split('@', 2);
  if (digest !== undefined && !/^[a-z0-9+._-]+:[0-9a-f]{32,}$/i.test(digest))
    return [`'${shown(digest)}' isn't a digest`, 'A digest is sha256: and 64 lower-case hex digits'];
  const slash = name.lastIndexOf('/');
  const host = slash < 0 ? '' : name.slice(0, name.indexOf('/'));
  const port = /^(?:\[[^\]]*\]|[^:[\]]*):(.*)$/.exec(host)?.[1];
  if (port !== undefined && !/^[0-9]+$/.test(port)) return [`'${shown(port)}' isn't a port`, undefined];
  const colon = name.indexOf(':', slash + 1);
  const tag = colon < 0 ? undefined : name.slice(colon + 1);
  if (tag !== undefined && tag.length > 128)
    return [`the tag has ${tag.length} characters, and at most 128 are allowed`, undefined];
  if (tag !== undefined && !TAG.test(tag))
    return [
      `'${shown(tag)}' isn't a tag`,
      'A tag holds letters, digits, _ . and -, and starts with a letter, a digit or _',
    ];
  if (text.length > 1024) return [`it has ${text.length} characters`, undefined];
  return [
    "it isn't of the form [host[:port]/]path[:tag][@digest]",
    'A path holds lower-case letters and digits, joined by single . or _, by __ or by -',
  ];
}

function shown(text: string): string {
  const clean = escapeControl(text);
  return clean.length > 160 ? `${clean.slice(0, 157)}...` : clean;
}

function codePoint(c: string): string {
  const hex = (c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return c <= ' ' || (c >= '\u007f' && c < '\u00a0') ? `the character U+${hex}` : `'${c}' (U+${hex})`;
}

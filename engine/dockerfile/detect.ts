import { trimSpace } from '../base/space.ts';

/** A directive found without parsing the file. */
export interface Detected {
  /** The value as written. */
  readonly value: string;
  /** Its first word: the image reference of `syntax`. */
  readonly ref: string;
  /** Line from 1; 0 in the JSON form. */
  readonly line: number;
}

/**
 * Finds one directive, also in files that are no Dockerfiles: `//` comments and, for `syntax`, a JSON document with that key are read too
 * when `anyFormat` is set. A `#!` line may stand before.
 */
export function detectDirective(
  key: string,
  text: string,
  options: { readonly anyFormat?: boolean } = {},
): Detected | undefined {
  const { anyFormat = false } = options;
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  const skipped = lines[0]?.startsWith('#!') === true ? 1 : 0;
  const rest = lines.slice(skipped);
  const hash = inComments(key, rest, '#', skipped);
  if (hash || !anyFormat) return hash;
  return inComments(key, rest, '//', skipped) ?? inJson(key, rest.join('\n'));
}

function inComments(key: string, lines: readonly string[], mark: string, skipped: number): Detected | undefined {
  const pattern = new RegExp(`^${mark}\\s*([a-zA-Z][a-zA-Z0-9]*)\\s*=\\s*(.+)$`);
  for (const [index, line] of lines.entries()) {
    const match = pattern.exec(trimSpace(line));
    if (!match) return undefined;
    if (match[1]?.toLowerCase() === key) return detected(match[2] ?? '', index + 1 + skipped);
  }
  return undefined;
}

function inJson(key: string, text: string): Detected | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
    return typeof found === 'string' ? detected(found, 0) : undefined;
  } catch {
    return undefined;
  }
}

function detected(value: string, line: number): Detected {
  return { value, ref: value.split(/\s+/, 1)[0] ?? '', line };
}

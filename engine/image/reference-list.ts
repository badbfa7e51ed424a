import { familiarName, familiarString, parseAnyReference, type Reference } from './reference.ts';

/**
 * Whether `pattern` (Go's `path.Match`: `*`, `?`, `[a-z]`, `\x`; none of them crosses a slash) fits the familiar name, with or without tag.
 * This is `docker images --filter reference=`.
 */
export function matchesPattern(reference: Reference, pattern: string): boolean {
  const expression = toExpression(pattern);
  return expression.test(familiarString(reference)) || expression.test(familiarName(reference));
}

/** Texts in Docker's order: tag and digest, tag, digest, name, id, then what can't be parsed; each group by name. */
export function sortReferences(texts: readonly string[]): string[] {
  const ranked = texts.map((text) => ({ text, rank: rankOf(text) }));
  return ranked.sort((a, b) => a.rank - b.rank || compare(a.text, b.text)).map(({ text }) => text);
}

function rankOf(text: string): number {
  try {
    const reference = parseAnyReference(text);
    if ('id' in reference) return 5;
    if (reference.tag !== undefined) return reference.digest === undefined ? 2 : 1;
    return reference.digest === undefined ? 4 : 3;
  } catch {
    return 6;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const TOKEN = /\\(.)|\[(\^?)((?:\\.|[^\]\\])+)\]|\*+|\?|[^]/gu;

function toExpression(pattern: string): RegExp {
  const body = pattern.replace(TOKEN, (token: string, escaped?: string, not?: string, set?: string) => {
    if (escaped !== undefined) return quote(escaped);
    if (set !== undefined) return `[${not ?? ''}${set.replace(/[[\]^]/g, '\\$&')}]`;
    if (token.startsWith('*')) return '[^/]*';
    return token === '?' ? '[^/]' : quote(token);
  });
  return new RegExp(`^${body}$`);
}

function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

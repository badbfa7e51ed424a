import type { Escape } from './ast.ts';
import { SyntaxMistake } from './errors.ts';
import type { Expanded, ExpandOptions, Lookup } from './expand.ts';
import { createScanner, type Scanner } from './scanner.ts';
import { substitute } from './substitute.ts';
import { createWordList } from './wordlist.ts';

/** Deeper nesting of `${…}` is refused: it would only be an attack on the stack. */
const MAX_DEPTH = 200;

/** Characters that values may still add to texts: what doubles a variable again and again ends here, and not at the end of the memory. */
export interface Allowance {
  left: number;
}

/** One run over one text. */
export interface Expansion {
  expand(): Expanded;
}

/** What {@link substitute} needs of the run it is part of. */
export interface ExpansionState {
  readonly scanner: Scanner;
  readonly skipUnset: boolean;
  /** Value of a variable; notes whether it was set. */
  lookup(name: string): string | undefined;
  /** Expands up to `stop`, which is taken; undefined when the text ends before. */
  until(stop: string, rawEscapes: boolean): string | undefined;
}

/** Prepares the expansion of `text`. The grammar is BuildKit's: `frontend/dockerfile/shell`. */
export function createExpansion(
  text: string,
  lookup: Lookup,
  options: ExpandOptions & { readonly escape: Escape; readonly allowance: Allowance },
): Expansion {
  const { escape, allowance, rawQuotes = false, skipUnset = false, skipQuotes = false } = options;
  const scanner = createScanner(text);
  const matched = new Set<string>();
  const unmatched = new Set<string>();
  let rawEscapes = options.rawEscapes ?? false;
  let depth = 0;

  const note = (name: string): string | undefined => {
    const value = lookup(name);
    (value === undefined ? unmatched : matched).add(name);
    return value;
  };

  function scan(stop: string | undefined): { readonly text: string; readonly words: readonly string[] } | undefined {
    const out: string[] = [];
    const words = createWordList();
    for (let char = scanner.peek(); char !== undefined; char = scanner.peek()) {
      if (char === stop) {
        scanner.next();
        return { text: out.join(''), words: words.end() };
      }
      const part = special(char) ?? plain((text) => words.add(text));
      out.push(part.text);
      if (char === '$') words.add(part.text);
      else if (part.isQuoted) words.addQuoted(part.text);
    }
    return stop === undefined ? { text: out.join(''), words: words.end() } : undefined;
  }

  function special(char: string): { readonly text: string; readonly isQuoted: boolean } | undefined {
    if (char === '$') return { text: dollar(), isQuoted: false };
    if (skipQuotes) return undefined;
    if (char === "'") return { text: singleQuoted(), isQuoted: true };
    if (char === '"') return { text: doubleQuoted(), isQuoted: true };
    return undefined;
  }

  function plain(addToWords: (text: string) => void): { readonly text: string; readonly isQuoted: boolean } {
    const char = scanner.next() ?? '';
    if (char !== escape) {
      addToWords(char);
      return { text: char, isQuoted: false };
    }
    return { text: (rawEscapes ? char : '') + (scanner.next() ?? ''), isQuoted: true };
  }

  function singleQuoted(): string {
    const quote = scanner.next() ?? '';
    const out: string[] = [];
    for (let char = scanner.next(); char !== quote; char = scanner.next()) {
      if (char === undefined)
        throw new SyntaxMistake(
          'expansion',
          'a single quote has no partner',
          `Add the closing ', or write ${escape}' for one that means itself`,
        );
      out.push(char);
    }
    return rawQuotes ? quote + out.join('') + quote : out.join('');
  }

  function doubleQuoted(): string {
    const quote = scanner.next() ?? '';
    const out: string[] = [];
    for (let char = scanner.peek(); char !== quote; char = scanner.peek()) {
      if (char === undefined)
        throw new SyntaxMistake(
          'expansion',
          'a double quote has no partner',
          `Add the closing ", or write ${escape}" for one that means itself`,
        );
      out.push(char === '$' ? dollar() : inDoubleQuotes());
    }
    scanner.next();
    return rawQuotes ? quote + out.join('') + quote : out.join('');
  }

  /** In double quotes only the quote, `$` and the escape character itself can be escaped. */
  function inDoubleQuotes(): string {
    const char = scanner.next() ?? '';
    if (char !== escape) return char;
    const next = scanner.peek();
    if (next === undefined) return rawEscapes ? char : '';
    if (next !== '"' && next !== '$' && next !== escape) return char;
    scanner.next();
    return rawEscapes ? char + next : next;
  }

  function dollar(): string {
    depth += 1;
    if (depth > MAX_DEPTH)
      throw new SyntaxMistake('expansion', 'the expansion is nested too deep', `Nest at most ${MAX_DEPTH} of them`);
    const value = substitute({ scanner, skipUnset, lookup: note, until });
    depth -= 1;
    allowance.left -= value.length;
    if (allowance.left < 0) throw new SyntaxMistake('expansion', 'the values of variables are too long');
    return value;
  }

  function until(stop: string, raw: boolean): string | undefined {
    const saved = rawEscapes;
    rawEscapes = raw;
    const part = scan(stop);
    rawEscapes = saved;
    return part?.text;
  }

  return {
    expand() {
      const all = scan(undefined) ?? { text: '', words: [] };
      return { ...all, matched, unmatched };
    },
  };
}

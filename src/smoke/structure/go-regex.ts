import { testRegex } from '../regex.ts';

/** A pattern of Go's `regexp`, as JavaScript runs it. */
export interface GoRegex {
  /** As it was written. */
  readonly written: string;
  readonly source: string;
  readonly flags: string;
}

/** Whether `text` holds a match. @throws `SlowRegexError` when it takes too long, which Go's engine never does */
export function matchesGo({ source, flags }: GoRegex, text: string): boolean {
  return testRegex(source, text, flags);
}

/**
 * Translates a pattern of Go's `regexp` (RE2's syntax): flags, classes, anchors and literals mean there what they mean here.
 *
 * @throws `Error` with the reason, also for what Go does not have: back references and looking around
 */
export function compileGoRegex(written: string): GoRegex {
  const reader = createReader(written);
  const source = reader.alternatives(NONE, 0);
  if (!reader.atEnd()) throw new Error('there is a ) without its (');
  const flags = reader.foldsCase() ? 'iu' : 'u';
  // What is left to refuse is refused by the engine itself: an empty range, a repeat of nothing.
  new RegExp(source, flags);
  return { written, source, flags };
}

interface Flags {
  readonly m: boolean;
  readonly s: boolean;
  readonly swapGreed: boolean;
}

const NONE: Flags = { m: false, s: false, swapGreed: false };
const MAX_DEPTH = 200;

interface Reader {
  /** Everything up to a closing parenthesis or the end. */
  alternatives(flags: Flags, depth: number): string;
  atEnd(): boolean;
  foldsCase(): boolean;
}

function createReader(text: string): Reader {
  let at = 0;
  let folds = false;
  let isLiteralSeen = false;

  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text) ?? undefined;
    if (found) at += found[0].length;
    return found;
  };

  const alternatives = (given: Flags, depth: number): string => {
    if (depth > MAX_DEPTH) throw new Error(`groups are nested more than ${MAX_DEPTH} deep`);
    let flags = given;
    let result = '';
    while (at < text.length && text[at] !== ')') {
      const inline = take(/\(\?([imsU]*)(?:-([imsU]+))?\)/y);
      if (inline) {
        flags = withFlags(flags, inline[1] ?? '', inline[2] ?? '', depth);
        continue;
      }
      result += piece(flags, depth);
    }
    return result;
  };

  const piece = (flags: Flags, depth: number): string => {
    if (take(/\|/y)) return '|';
    const atom = group(flags, depth) ?? quoted() ?? characterClass() ?? simple(flags);
    isLiteralSeen ||= !/^\(\?<?!/.test(atom);
    const times = repeat(flags);
    // Go repeats what matches nothing, as in `^*`; here that needs a group.
    return times !== '' && /^(?:\(\?<?!\[|\\[bB]$)/.test(atom) ? `(?:${atom})${times}` : `${atom}${times}`;
  };

  const group = (flags: Flags, depth: number): string | undefined => {
    const opened = take(/\((?:\?(?:P?<(\w+)>|([imsU]*)(?:-([imsU]+))?:))?/y);
    if (!opened) return undefined;
    const [whole, name, on, off = ''] = opened;
    if (whole === '(' && text[at] === '?') throw new Error(`Go's regexp has no ${text.slice(at - 1, at + 3)}`);
    const inner = on === undefined ? flags : withFlags(flags, on, off, depth + 1);
    const body = alternatives(inner, depth + 1);
    if (!take(/\)/y)) throw new Error('there is a ( without its )');
    if (name !== undefined) return `(?<${name}>${body})`;
    return on === undefined ? `(${body})` : `(?:${body})`;
  };

  /** JavaScript folds the case of a whole pattern or of none of it. */
  const withFlags = (flags: Flags, on: string, off: string, depth: number): Flags => {
    if (off.includes('i') || (on.includes('i') && (depth > 0 || isLiteralSeen)))
      throw new Error('(?i) can only be used for the whole of a pattern: write it at its start');
    if (on.includes('i')) folds = true;
    const has = (name: string, before: boolean): boolean => on.includes(name) || (before && !off.includes(name));
    return { m: has('m', flags.m), s: has('s', flags.s), swapGreed: has('U', flags.swapGreed) };
  };

  const quoted = (): string | undefined => {
    const found = take(/\\Q([^]*?)(?:\\E|$)/y);
    return found && [...(found[1] ?? '')].map((character) => literal(character)).join('');
  };

  const characterClass = (): string | undefined => {
    const opened = take(/\[(\^?)(\]?)/y);
    if (!opened) return undefined;
    let result = `[${opened[1] ?? ''}${opened[2] ? '\\]' : ''}`;
    while (text[at] !== ']') {
      if (at >= text.length) throw new Error('there is a [ without its ]');
      const named = take(/\[:(\^?)(\w+):\]/y);
      result += named ? posix(named[2] ?? '', named[1] === '^') : member();
    }
    at += 1;
    return `${result}]`;
  };

  /** A character, a range of them, or the members of another class. */
  const member = (): string => {
    const isSet = /\\[dDsSwWpP]/y;
    isSet.lastIndex = at;
    const low = isSet.test(text);
    const first = one();
    if (low || text[at] !== '-' || text[at + 1] === ']') return first;
    at += 1;
    return `${first}-${one()}`;
  };

  const one = (): string => escape(true) ?? literal(take(/[^]/uy)?.[0] ?? '', true);

  const simple = (flags: Flags): string => {
    const escaped = escape(false);
    if (escaped !== undefined) return escaped;
    const character = take(/[^]/uy)?.[0] ?? '';
    if (character === '.') return flags.s ? '[^]' : '[^\\n]';
    if (character === '^') return flags.m ? '(?<![^\\n])' : '(?<![^])';
    if (character === '$') return flags.m ? '(?![^\\n])' : '(?![^])';
    if ('*+?'.includes(character)) throw new Error(`there is nothing before ${character} to repeat`);
    return literal(character);
  };

  const escape = (isInClass: boolean): string | undefined => {
    if (text[at] !== '\\') return undefined;
    const code = take(/\\(?:x\{([0-9A-Fa-f]+)\}|x([0-9A-Fa-f]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2}))/y);
    if (code) return codePoint(code[3] === undefined ? parseInt(code[1] ?? code[2] ?? '', 16) : parseInt(code[3], 8));
    const unicode = take(/\\([pP])(?:\{(\^?)(\w+)\}|(\w))/y);
    if (unicode) return unicodeClass(unicode[1] ?? '', unicode[2] === '^', unicode[3] ?? unicode[4] ?? '');
    const [, letter = ''] = take(/\\([^]?)/uy) ?? [];
    if (letter === '') throw new Error('it ends in a single \\');
    return escapes(letter, isInClass);
  };

  const repeat = (flags: Flags): string => {
    const found = take(/(?:[*+?]|\{\d+(?:,\d*)?\})/y);
    if (!found) return '';
    const isLazy = take(/\?/y) !== undefined;
    if (take(/[*+]|\{\d+(?:,\d*)?\}/y)) throw new Error('a repeat cannot be repeated');
    return `${found[0]}${isLazy !== flags.swapGreed ? '?' : ''}`;
  };

  return { alternatives, atEnd: () => at >= text.length, foldsCase: () => folds };
}

/** Go's classes are those of ASCII, and its `\s` has no vertical tab. */
const CLASSES: Readonly<Record<string, readonly [plain: string, inClass: string]>> = {
  d: ['[0-9]', '0-9'],
  D: ['[^0-9]', '\\u{0}-\\u{2f}\\u{3a}-\\u{10ffff}'],
  s: ['[\\t\\n\\f\\r ]', '\\t\\n\\f\\r '],
  S: ['[^\\t\\n\\f\\r ]', '\\u{0}-\\u{8}\\u{b}\\u{e}-\\u{1f}\\u{21}-\\u{10ffff}'],
  w: ['[0-9A-Za-z_]', '0-9A-Za-z_'],
  W: ['[^0-9A-Za-z_]', '\\u{0}-\\u{2f}\\u{3a}-\\u{40}\\u{5b}-\\u{5e}\\u{60}\\u{7b}-\\u{10ffff}'],
};

const ESCAPES: Readonly<Record<string, string>> = { a: '\\u{7}', f: '\\f', n: '\\n', r: '\\r', t: '\\t', v: '\\v' };
const ANCHORS: Readonly<Record<string, string>> = { A: '(?<![^])', z: '(?![^])', b: '\\b', B: '\\B' };

function escapes(letter: string, isInClass: boolean): string {
  const known = CLASSES[letter];
  if (known) return known[isInClass ? 1 : 0];
  const control = ESCAPES[letter];
  if (control !== undefined) return control;
  const anchor = isInClass ? undefined : ANCHORS[letter];
  if (anchor !== undefined) return anchor;
  if (/[0-9A-Za-z]/.test(letter)) throw new Error(`Go's regexp has no \\${letter}${isInClass ? ' in a class' : ''}`);
  return literal(letter, isInClass);
}

const POSIX: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  alnum: [[0x30, 0x39], [0x41, 0x5a], [0x61, 0x7a]], alpha: [[0x41, 0x5a], [0x61, 0x7a]], ascii: [[0, 0x7f]],
  blank: [[0x09, 0x09], [0x20, 0x20]], cntrl: [[0, 0x1f], [0x7f, 0x7f]], digit: [[0x30, 0x39]], graph: [[0x21, 0x7e]],
  lower: [[0x61, 0x7a]], print: [[0x20, 0x7e]], punct: [[0x21, 0x2f], [0x3a, 0x40], [0x5b, 0x60], [0x7b, 0x7e]],
  space: [[0x09, 0x0d], [0x20, 0x20]], upper: [[0x41, 0x5a]], word: [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]],
  xdigit: [[0x30, 0x39], [0x41, 0x46], [0x61, 0x66]],
}; // prettier-ignore

function posix(name: string, isNegated: boolean): string {
  const ranges = POSIX[name];
  if (ranges === undefined) throw new Error(`there is no class [:${name}:]`);
  return (isNegated ? complement(ranges) : ranges)
    .map(([low, high]) => `${codePoint(low)}-${codePoint(high)}`)
    .join('');
}

function complement(ranges: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  const starts = [0, ...ranges.map(([, high]) => high + 1)];
  const ends = [...ranges.map(([low]) => low - 1), 0x10ffff];
  return starts.flatMap((start, index) => {
    const end = ends[index] ?? 0x10ffff;
    return start <= end ? [[start, end] as const] : [];
  });
}

function unicodeClass(letter: string, isNegated: boolean, name: string): string {
  const isOutside = (letter === 'P') !== isNegated;
  // A category by its letters, else a script.
  const property = /^[A-Z][a-z]?$/.test(name) ? name : `Script=${name}`;
  return `\\${isOutside ? 'P' : 'p'}{${property}}`;
}

function codePoint(code: number): string {
  if (code > 0x10ffff) throw new Error(`there is no character ${code.toString(16)}`);
  return `\\u{${code.toString(16)}}`;
}

function literal(character: string, isInClass = false): string {
  const special = isInClass ? /[\\\]^[-]/ : /[\\^$.*+?()[\]{}|/]/;
  return special.test(character) ? `\\${character}` : character;
}

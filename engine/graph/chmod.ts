import { SyntaxMistake } from '../dockerfile/index.ts';
import type { ModeChange } from './types.ts';

/** What `--chmod` says: permission bits, or changes of those that a file has. */
export interface ChangedMode {
  readonly mode?: number;
  readonly modeChanges?: readonly ModeChange[];
}

/** Bits that a class may change: read, write, execute, and its set-id bit. */
const CLASSES: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o0007, a: 0o6777 };
const LETTERS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };
const COPIED = { u: 'user', g: 'group', o: 'other' } as const;
const STICKY = 0o1000;

/**
 * Reads the value of `--chmod`: octal up to 7777, or the symbolic form of chmod(1), such as `u=rwX,go=rX`, whose classes are all where none
 * is written, whatever the umask (BuildKit's has none).
 *
 * @throws SyntaxMistake
 */
export function readChmod(text: string): ChangedMode {
  if (/^[0-7]+$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return { mode: Number.parseInt(text, 8) };
  const clauses = /^\d/.test(text) ? [] : text.split(',').map(readClause);
  if (clauses.length === 0 || clauses.includes(undefined)) throw noMode(text);
  return { modeChanges: clauses.flatMap((clause) => clause ?? []) };
}

function readClause(clause: string): readonly ModeChange[] | undefined {
  const [, classes = '', actions = ''] = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause) ?? [];
  if (actions === '') return undefined;
  const who = [...(classes || 'a')].reduce((mask, letter) => mask | (CLASSES[letter] ?? 0), 0);
  return [...actions.matchAll(/([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)/g)].map(([, operator = '', letters = '']) =>
    toChange(who, operator, letters),
  );
}

function toChange(who: number, operator: string, letters: string): ModeChange {
  const from = letters in COPIED ? COPIED[letters as keyof typeof COPIED] : undefined;
  // The sticky bit is nobody's: it is touched only when it is named, and not for others alone.
  const all = letters.includes('t') && who !== CLASSES['o'] ? who | STICKY : who;
  const bits = from ? 0 : [...letters].reduce((mask, letter) => mask | (LETTERS[letter] ?? 0), 0) & all;
  const execute = letters.includes('X') ? 0o111 & who : 0;
  if (operator === '-') {
    const copy = from ? { from, to: who & 0o777, remove: true } : null;
    // Where nobody may execute there is nothing to take away: `-X` is `-x`.
    return { clear: bits | execute, set: 0, setIfExecutable: 0, copy };
  }
  const copy = from ? { from, to: who & 0o777, remove: false } : null;
  return { clear: operator === '=' ? all : 0, set: bits, setIfExecutable: execute, copy };
}

function noMode(text: string): SyntaxMistake {
  return new SyntaxMistake(
    'bad-value',
    `--chmod=${text} is no mode`,
    'Write an octal number up to 7777, such as --chmod=755, or changes such as --chmod=u=rwX,go=rX',
  );
}

/**
 * What the runner's culture-aware comparison passes over: control, format, private and unassigned characters, combining marks. A zero-width
 * space between two colons does not hide them from it, so what we put in must be a character that counts.
 */
const PASSED_OVER = '[\\p{C}\\p{M}\\p{Default_Ignorable_Code_Point}]*';
/** The runner cuts leading blanks (.NET's, U+0085 among them) before it looks for `::`. */
const LEADING = '^[\\s\\p{Z}\\p{C}\\p{M}\\p{Default_Ignorable_Code_Point}]*';

const COMMAND = new RegExp(`(${LEADING})(:)(?=${PASSED_OVER}:)`, 'u');
const OLD_COMMAND = new RegExp(`#(?=${PASSED_OVER}#${PASSED_OVER}\\[)`, 'gu');

/** Longest line that is passed on in one piece; the rest follows as lines of its own. */
const MAX_LINE = 16_384;

/**
 * `line` so that the runner finds no command in it: `::` at the start becomes `\::`, `##[` anywhere becomes `#\#[`. It stays readable.
 * Source: actions/runner, ActionCommand.cs (TryParseV2, TryParse); hardening.md 5, rule 9.
 */
export function neutralizeLine(line: string): string {
  return line.replace(COMMAND, '$1\\$2').replace(OLD_COMMAND, '#\\');
}

/** Text of any origin as lines that the runner reads as lines too (a lone CR ends one), each neutralised and of bounded length. */
export function neutralize(text: string): readonly string[] {
  return text
    .split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/)
    .flatMap(pieces)
    .map(neutralizeLine);
}

function pieces(line: string): readonly string[] {
  const parts = [line.slice(0, MAX_LINE)];
  for (let at = MAX_LINE; at < line.length; at += MAX_LINE) parts.push(line.slice(at, at + MAX_LINE));
  return parts;
}

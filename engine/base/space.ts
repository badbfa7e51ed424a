const WIDE = /^[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/u;

/** Whether the character is white space to Go's `unicode.IsSpace`, which differs from JavaScript's `\s` (U+0085, U+FEFF). */
export function isSpace(char: string): boolean {
  const code = char.charCodeAt(0);
  return code < 0x80 ? code === 0x20 || (code >= 0x09 && code <= 0x0d) : WIDE.test(char);
}

/** `text` without leading white space. */
export function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && isSpace(text.charAt(start))) start += 1;
  return start === 0 ? text : text.slice(start);
}

/** `text` without white space around it. By hand: a `+$` pattern is quadratic on hostile text. */
export function trimSpace(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text.charAt(end - 1))) end -= 1;
  return trimStart(text.slice(0, end));
}

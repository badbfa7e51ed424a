/** Colours for a terminal; the identity elsewhere. */
export interface Paint {
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
}

export function createPaint(color: boolean): Paint {
  const wrap =
    (code: number) =>
    (text: string): string =>
      color ? `\u001b[${code}m${text}\u001b[0m` : text;
  return { good: wrap(32), bad: wrap(31), warn: wrap(33) };
}

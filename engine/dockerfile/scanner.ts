/** Reads a text character by character. */
export interface Scanner {
  /** The next character without taking it; undefined at the end. */
  peek(): string | undefined;
  next(): string | undefined;
}

/** A {@link Scanner} by code points. */
export function createScanner(text: string): Scanner {
  let at = 0;
  const peek = (): string | undefined => {
    const code = text.codePointAt(at);
    return code === undefined ? undefined : String.fromCodePoint(code);
  };
  return {
    peek,
    next() {
      const char = peek();
      at += char?.length ?? 0;
      return char;
    },
  };
}

import { isSpace } from '../base/space.ts';

/** The flags in front of an instruction's arguments, and the rest. */
export interface FlagWords {
  readonly flags: readonly string[];
  readonly rest: string;
}

/**
 * Takes the `--name=value` words from the front of an argument. Quotes and backslashes are removed from them; a lone `--` ends them.
 * The backslash escapes here whatever `# escape=` says, as in BuildKit.
 */
export function takeFlags(argument: string): FlagWords {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < argument.length && isSpace(argument.charAt(at))) at += 1;
    if (!argument.startsWith('--', at)) return { flags, rest: argument.slice(at) };
    const { word, end } = readWord(argument, at);
    at = end;
    if (word === '--') return { flags, rest: argument.slice(at) };
    flags.push(word);
  }
}

function readWord(text: string, start: number): { readonly word: string; readonly end: number } {
  let word = '';
  let quote = '';
  let at = start;
  for (; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quote === '' && isSpace(char)) break;
    if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === '\\') {
      at += 1;
      word += text.charAt(at);
    } else word += char;
  }
  return { word, end: at };
}

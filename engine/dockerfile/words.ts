import type { Escape } from './ast.ts';
import { isSpace } from '../base/space.ts';

/**
 * Splits an argument into words at white space outside quotes. Quotes and escapes stay in the words: they are processed on expansion.
 * A lone escape character at the very end is dropped.
 */
export function splitWords(text: string, escape: Escape): readonly string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text.charAt(at))) at += 1;
    if (at >= text.length) return words;
    const end = endOfWord(text, at, escape);
    const dangling = end === text.length && endsInEscape(text, at, escape);
    const word = text.slice(at, dangling ? end - 1 : end);
    if (word !== '') words.push(word);
    at = end;
  }
}

function endOfWord(text: string, start: number, escape: Escape): number {
  let quote = '';
  for (let at = start; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === escape && quote !== "'") at += 1;
    else if (quote !== '') quote = char === quote ? '' : quote;
    else if (char === '"' || char === "'") quote = char;
    else if (isSpace(char)) return at;
  }
  return text.length;
}

/** Whether the last character is an escape that escapes nothing. */
function endsInEscape(text: string, start: number, escape: Escape): boolean {
  let quote = '';
  for (let at = start; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === escape && quote !== "'") {
      if (at === text.length - 1) return true;
      at += 1;
    } else if (quote !== '') quote = char === quote ? '' : quote;
    else if (char === '"' || char === "'") quote = char;
  }
  return false;
}

import { createExpander, type Ast, type Expander, type Lookup } from '../dockerfile/index.ts';
import type { StageState } from './state.ts';

/** `[builder 2/5] ` in front of a step's name, as BuildKit prints it; `[linux/arm64 builder 2/5] ` where several platforms are built. */
export function stepPrefix({ label, shownPlatform, step, steps }: StageState): string {
  const count = `${String(step).padStart(String(steps).length)}/${steps}`;
  return `[${[shownPlatform, label, count].filter((word) => word !== '').join(' ')}] `;
}

/** The instruction as BuildKit shows it: its word in upper case, variables expanded where that is possible. */
export function shownInstruction(
  original: string,
  ast: Ast,
  lookup: Lookup,
  options: { readonly isRun: boolean },
): string {
  const expander = createExpander(ast.directives.escape, options.isRun ? { rawQuotes: true, skipUnset: true } : {});
  const shown = expandOrKeep(expander, original, lookup);
  const [word = '', ...rest] = shown.split(' ');
  return [word.toUpperCase(), ...rest].join(' ');
}

/** The first line of a here-document, for names. */
export function summarize(text: string): string {
  const [first = '', ...more] = text.trim().split(/\r?\n/);
  return more.length > 0 ? `${first}...` : first;
}

function expandOrKeep(expander: Expander, text: string, lookup: Lookup): string {
  try {
    return expander.word(text, lookup);
  } catch {
    // A name is only a name: the instruction itself reports what is wrong with its words.
    return text;
  }
}

import { inClass } from './class.ts';
import type { Token } from './tokens.ts';

/**
 * Walks a path through a pattern, all ways at once: time is the product of both lengths, whatever the pattern, which a regular
 * expression would not promise.
 *
 * @returns `whole`: the path matches; `prefix`: it doesn't, but a longer one that starts with it may; `none`
 */
export function matchTokens(tokens: readonly Token[], path: string): 'whole' | 'prefix' | 'none' {
  // States are numbers: 2i stands before token i, 2i+1 inside of the directories that it takes.
  let states = expand([0], tokens);
  for (const char of path) {
    const next: number[] = [];
    for (const state of states) step(state, tokens, char, next);
    if (next.length === 0) return 'none';
    states = expand(next, tokens);
  }
  return states.includes(2 * tokens.length) ? 'whole' : 'prefix';
}

function step(state: number, tokens: readonly Token[], char: string, next: number[]): void {
  const index = state >> 1;
  const token = tokens[index];
  if (!token) return;
  switch (token.type) {
    case 'star':
      if (char !== '/') add(next, state);
      return;
    case 'rest':
      add(next, state);
      return;
    case 'directories':
      add(next, 2 * index + 1);
      if (char === '/') add(next, 2 * index + 2);
      return;
    case 'one':
      if (char !== '/') add(next, 2 * index + 2);
      return;
    case 'char':
      if (token.char === char) add(next, 2 * index + 2);
      return;
    case 'class':
      if (inClass(token, char)) add(next, 2 * index + 2);
  }
}

/** Tokens that may take nothing are passed at once. */
function expand(states: number[], tokens: readonly Token[]): number[] {
  for (const state of states) {
    if (state % 2 === 1) continue;
    const type = tokens[state >> 1]?.type;
    if (type === 'star' || type === 'rest' || type === 'directories') add(states, state + 2);
  }
  return states;
}

function add(states: number[], state: number): void {
  if (!states.includes(state)) states.push(state);
}

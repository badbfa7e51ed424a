import { expect, test } from '@jest/globals';
import type { Escape } from '../../../engine/dockerfile/ast.ts';
import { createExpander, lookupIn } from '../../../engine/dockerfile/expand.ts';
import { shellPattern } from '../../../engine/dockerfile/glob.ts';
import { describeVectors, readVectors } from '../../helpers/vectors.ts';

type Env = Readonly<Record<string, string>>;

describeVectors('shell-words', () => {
  const lookup =
    (env: Env) =>
    (name: string): string | undefined =>
      Object.hasOwn(env, name) ? env[name] : undefined;

  const words = readVectors<{ env: Env; cases: { line: number; input: string; result?: string }[] }>(
    'shell-words/env-words.json',
  );
  test.each(words.cases)('word, line $line: $input', ({ input, result }) => {
    const act = (): string => createExpander('\\').word(input, lookup(words.env));
    if (result === undefined) expect(act).toThrow();
    else expect(act()).toBe(result);
  });

  const split = readVectors<{ cases: { line: number; input: string; env: Env; words?: string[] }[] }>(
    'shell-words/split-words.json',
  );
  test.each(split.cases)('words, line $line: $input', ({ input, env, words: wanted }) => {
    const act = (): unknown => createExpander('\\').words(input, lookup(env)).words;
    if (wanted) expect(act()).toEqual(wanted);
    else expect(act).toThrow();
  });

  interface ExpansionCase {
    readonly input: string;
    readonly env: Env;
    readonly result?: string;
    readonly matched?: readonly string[];
    readonly unmatched?: readonly string[];
  }
  const expansion = readVectors<{ cases: ExpansionCase[] }>('shell-words/expansion.json');
  test.each(expansion.cases)('expansion of $input with $env', ({ input, env, result, matched, unmatched }) => {
    const act = () => createExpander('\\').words(input, lookup(env));
    if (result === undefined) {
      expect(act).toThrow();
      return;
    }
    expect(act().text).toBe(result);
    if (matched) expect([...act().matched].sort()).toEqual(matched);
    if (unmatched) expect([...act().unmatched].sort()).toEqual(unmatched);
  });

  const lookups = readVectors<{ cases: { env_list: string[]; name: string; set: boolean; value: string }[] }>(
    'shell-words/lookup.json',
  );
  test.each(lookups.cases)('lookup of $name in $env_list', ({ env_list, name, set, value }) => {
    expect(lookupIn(env_list)(name)).toBe(set ? value : undefined);
  });

  const patterns = readVectors<{ cases: { pattern: string; anchored_greedy_regex?: string }[] }>(
    'shell-words/patterns.json',
  );
  test.each(patterns.cases)('pattern $pattern', ({ pattern, anchored_greedy_regex }) => {
    if (anchored_greedy_regex === undefined) expect(() => shellPattern(pattern)).toThrow();
    else expect(asRegularExpression(pattern)).toBe(anchored_greedy_regex);
  });

  interface MoreOptions {
    readonly raw_quotes?: boolean;
    readonly raw_escapes?: boolean;
    readonly skip_unset_env?: boolean;
    readonly skip_process_quotes?: boolean;
  }
  interface MoreCase {
    readonly input: string;
    readonly env: Env;
    readonly escape: Escape;
    readonly options?: MoreOptions;
    readonly word: {
      readonly result?: string;
      readonly matched?: readonly string[];
      readonly unmatched?: readonly string[];
    };
    readonly words: { readonly result?: readonly string[] };
  }
  const more = readVectors<{ cases: MoreCase[] }>('shell-words/more.json');
  test.each(more.cases)(
    'more: $input, escape $escape, $options',
    ({ input, env, escape, options, word, words: split }) => {
      const expander = createExpander(escape, {
        rawQuotes: options?.raw_quotes,
        rawEscapes: options?.raw_escapes,
        skipUnset: options?.skip_unset_env,
        skipQuotes: options?.skip_process_quotes,
      });
      const act = () => expander.words(input, lookup(env));
      if (word.result === undefined) {
        expect(act).toThrow();
        return;
      }
      expect(act().text).toBe(word.result);
      expect([...act().matched].sort()).toEqual(word.matched);
      expect([...act().unmatched].sort()).toEqual(word.unmatched);
      expect(act().words).toEqual(split.result);
    },
  );
});

function asRegularExpression(pattern: string): string {
  const parts = shellPattern(pattern).map((token) => {
    if (token.type === 'any') return '.*';
    if (token.type === 'one') return '.';
    return token.char.replace(/[\\.+*?()|[\]{}^$]/, '\\$&');
  });
  return `^${parts.join('')}`;
}

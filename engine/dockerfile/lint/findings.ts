import type { DockerfileWarning } from '../ast.ts';
import type { Range } from '../errors.ts';
import { RULES, type LintRule, type RuleName } from './rules.ts';

/**
 * What the checks have found so far. It is handed from step to step, so that what was found before an error is there beside the error.
 * Everything is kept; {@link selectFindings} leaves out what the file or the user does not want to hear.
 */
export interface Findings {
  readonly list: readonly DockerfileWarning[];
  /** `words` are those of the rule's message, then a suggestion where there is one. */
  report(rule: RuleName, place: Range, ...words: readonly string[]): void;
}

/** Empty {@link Findings}. The same thing at the same place is kept once. */
export function createFindings(): Findings {
  const list: DockerfileWarning[] = [];
  const known = new Set<string>();
  return {
    list,
    report(rule, { startLine, endLine }, ...words) {
      const message = messageOf(RULES[rule], words);
      const key = `${rule} ${startLine} ${message}`;
      if (!known.has(key)) list.push({ rule, message, startLine, endLine });
      known.add(key);
    },
  };
}

function messageOf({ message, suggestion = '' }: LintRule, words: readonly string[]): string {
  const wanted = message.split(/%[sq]/).length - 1;
  const format = words.length > wanted ? message + suggestion : message;
  let at = 0;
  return format.replace(/%[sq]/g, (verb) => {
    const word = words[at] ?? '';
    at += 1;
    return verb === '%q' ? JSON.stringify(word) : word;
  });
}

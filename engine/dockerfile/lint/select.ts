import type { Ast, AstNode, DockerfileWarning } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import { NO_CHECK_OPTIONS, parseCheckOptions, type CheckOptions } from './options.ts';
import { ruleOf } from './rules.ts';

/**
 * The findings that are to be shown, by line. `options` are those of the file; a comment `# check=skip=Rule` above an instruction holds for
 * that instruction alone.
 */
export function selectFindings(
  findings: readonly DockerfileWarning[],
  options: CheckOptions,
  { instructions }: Pick<Ast, 'instructions'>,
): readonly DockerfileWarning[] {
  return findings
    .filter(({ rule, endLine }) => {
      const node = nodeAt(instructions, endLine);
      return isWanted(rule, [options, node ? optionsAbove(node) : NO_CHECK_OPTIONS]);
    })
    .sort((a, b) => a.startLine - b.startLine);
}

/** Experimental rules are asked for by name, the others are skipped by name. */
function isWanted(name: string, sayings: readonly CheckOptions[]): boolean {
  if (ruleOf(name)?.isExperimental === true) {
    return sayings.some(({ experimentalAll, experimental }) => experimentalAll || experimental.includes(name));
  }
  return !sayings.some(({ skipAll, skip }) => skipAll || skip.includes(name));
}

/** The instruction on that line; they are in order. */
function nodeAt(instructions: readonly AstNode[], line: number): AstNode | undefined {
  let [low, high] = [0, instructions.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((instructions[middle]?.startLine ?? 0) <= line) low = middle + 1;
    else high = middle;
  }
  return instructions[low - 1];
}

/** The first comment `check=…` counts; words behind the options say why. One that cannot be read changes nothing, as in BuildKit. */
function optionsAbove({ comments }: AstNode): CheckOptions {
  const value = comments.map((comment) => /^check\s*=\s*(\S+)/i.exec(comment)?.[1]).find((text) => text !== undefined);
  try {
    return parseCheckOptions(value);
  } catch (error) {
    if (error instanceof SyntaxMistake) return NO_CHECK_OPTIONS;
    throw error;
  }
}

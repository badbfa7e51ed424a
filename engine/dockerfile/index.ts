/** Dockerfile text to syntax tree to typed stages. Source: spec/engine.md 1a, 1b. */
export type { Ast, AstNode, DockerfileWarning, Directives, Escape, Heredoc } from './ast.ts';
export type * from './instruction.ts';
export { MAX_SIZE as MAX_DOCKERFILE } from './decode.ts';
export { DockerfileError, locate, SyntaxMistake, where } from './errors.ts';
export type { MistakeKind, Range, Source } from './errors.ts';
export { excerpt } from './excerpt.ts';
export { createExpander, splitEntry, type Expander, type Lookup } from './expand.ts';
export { parseGitReference, type GitReference } from './git/reference.ts';
export { chomp, parseHeredoc } from './heredoc.ts';
export { readInstruction } from './instructions/index.ts';
export {
  createFindings,
  lintStage,
  parseCheckOptions,
  ruleOf,
  selectFindings,
  urlOf,
  wordOf,
  type CheckOptions,
  type Findings,
  type RuleName,
} from './lint/index.ts';
export { parseMount, type Mount } from './instructions/mount.ts';
export { parse } from './parse.ts';
export { parseStages } from './stages.ts';

import type { AstNode } from '../ast.ts';
import type { Stage } from '../instruction.ts';
import type { Findings } from './findings.ts';

const RESERVED: readonly string[] = ['context', 'scratch'];

/** Rules about the words of FROM; `stage` is what came of it. */
export function lintFrom(node: AstNode, stage: Stage, findings: Findings): void {
  const [, as, written] = node.args;
  if (written === undefined || as === undefined) return;
  if (written !== written.toLowerCase()) findings.report('StageNameCasing', node, written);
  if (!followsCase(node.value, as)) findings.report('FromAsCasing', node, as, node.value);
  lintDescription(node, 'FROM', [stage.name], findings);
}

/** A comment above FROM … AS name or ARG name describes it, when it starts with the name. */
export function lintDescription(
  node: AstNode,
  word: 'ARG' | 'FROM',
  names: readonly string[],
  findings: Findings,
): void {
  const [name = ''] = names;
  const comment = node.comments.at(-1);
  if (comment === undefined || names.includes(comment.split(' ', 1)[0] ?? '')) return;
  findings.report('InvalidDefinitionDescription', node, word, names.length > 1 ? '<arg_key>' : name);
}

/** Rules about a whole file: instructions in one case, stage names that are unique and not reserved. */
export function lintFile(nodes: readonly AstNode[], stages: readonly Stage[], findings: Findings): void {
  lintCasing(nodes.slice(nodes.findIndex(({ value }) => value.toLowerCase() === 'from')), findings);
  for (const [index, stage] of stages.entries()) {
    const { name } = stage;
    if (name === '') continue;
    if (RESERVED.includes(name)) findings.report('ReservedStageName', stage, name);
    if (stages.findIndex((other) => other.name === name) < index) findings.report('DuplicateStageName', stage, name);
  }
}

function lintCasing(nodes: readonly AstNode[], findings: Findings): void {
  const lower = nodes.filter(({ value }) => value === value.toLowerCase()).length;
  const upper = nodes.filter(({ value }) => value === value.toUpperCase()).length;
  const isLower = lower > upper;
  for (const node of nodes) {
    const wanted = isLower ? node.value.toLowerCase() : node.value.toUpperCase();
    if (node.value === wanted) continue;
    findings.report('ConsistentInstructionCasing', node, node.value, isLower ? 'lowercase' : 'uppercase');
  }
}

/** A FROM in mixed case is another rule's. */
function followsCase(from: string, as: string): boolean {
  if (from === from.toLowerCase()) return as === as.toLowerCase();
  return from !== from.toUpperCase() || as === as.toUpperCase();
}

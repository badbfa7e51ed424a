import type { Instruction, InstructionKind, Stage } from '../instruction.ts';
import type { Findings } from './findings.ts';

const ONCE: readonly InstructionKind[] = ['cmd', 'entrypoint', 'healthcheck'];
/** A whole name, or its first or last word: api_key, DATABASE_PASSWORD, GITHUB_TOKEN. */
const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const HARMLESS = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/** Rules about the instructions of a stage that is built, as they are written. */
export function lintStage({ instructions }: Stage, findings: Findings): void {
  const last = new Map<InstructionKind, Instruction>();
  for (const instruction of instructions) {
    const { kind } = instruction;
    const earlier = ONCE.includes(kind) ? last.get(kind) : undefined;
    // The earlier one is the one that is ignored.
    if (earlier) findings.report('MultipleInstructionsDisallowed', earlier, wordOf(instruction));
    last.set(kind, instruction);
    lintPairs(instruction, findings);
  }
}

/** The instruction's word as it is written. */
export function wordOf({ original }: Instruction): string {
  return /^\S+/.exec(original)?.[0] ?? '';
}

function lintPairs(instruction: Instruction, findings: Findings): void {
  const { kind } = instruction;
  if (kind === 'arg') lintNames('ARG', instruction.args, instruction, findings);
  if (kind === 'env') lintNames('ENV', instruction.env, instruction, findings);
  const pairs = kind === 'env' ? instruction.env : kind === 'label' ? instruction.labels : [];
  const word = wordOf(instruction);
  if (pairs.some(({ noDelim }) => noDelim)) findings.report('LegacyKeyValueFormat', instruction, word, word);
}

function lintNames(
  word: 'ARG' | 'ENV',
  pairs: readonly { readonly key: string }[],
  instruction: Instruction,
  findings: Findings,
): void {
  for (const { key } of pairs) {
    if (SECRET.test(key) && !HARMLESS.test(key)) findings.report('SecretsUsedInArgOrEnv', instruction, word, key);
  }
}

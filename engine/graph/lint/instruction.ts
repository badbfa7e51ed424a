import { posix } from 'node:path';
import {
  createExpander,
  wordOf,
  type AddInstruction,
  type CmdInstruction,
  type CopyInstruction,
  type EntrypointInstruction,
  type ExposeInstruction,
  type Instruction,
  type WorkdirInstruction,
} from '../../dockerfile/index.ts';
import type { Conversion } from '../conversion.ts';
import { lookupOf } from '../env.ts';
import type { StageState } from '../state.ts';

const REMOTE = /^(?:https?|git|ssh|ftp):\/\/|^git@/i;

/** Rules about one instruction that need what its stage is before it. */
export function lintInstruction(conversion: Conversion, state: StageState, instruction: Instruction): void {
  const { kind } = instruction;
  if (kind === 'cmd' || kind === 'entrypoint') lintShellForm(conversion, state, instruction);
  else if (kind === 'workdir') lintWorkdir(conversion, state, instruction);
  else if (kind === 'expose') lintExpose(conversion, state, instruction);
  else if (kind === 'add' || (kind === 'copy' && instruction.from === undefined)) {
    lintSources(conversion, state, instruction);
  }
}

/** Who says SHELL knows what he does. */
function lintShellForm(
  { source }: Conversion,
  { config }: StageState,
  instruction: CmdInstruction | EntrypointInstruction,
): void {
  if (!instruction.shellForm || (config.Shell ?? []).length > 0) return;
  source.ast.findings.report('JSONArgsRecommended', instruction, wordOf(instruction));
}

/** Only the first WORKDIR of a file's stages counts: those after it stand on it. A base image's may change. */
function lintWorkdir({ source }: Conversion, state: StageState, instruction: WorkdirInstruction): void {
  const path = createExpander(source.ast.directives.escape).word(instruction.path, lookupOf(state.env));
  if (state.isAnchored || path.startsWith('/')) return;
  source.ast.findings.report('WorkdirRelativePath', instruction, path);
}

function lintExpose({ source: { ast } }: Conversion, state: StageState, instruction: ExposeInstruction): void {
  const expander = createExpander(ast.directives.escape);
  for (const port of instruction.ports.flatMap((word) => expander.words(word, lookupOf(state.env)).words)) {
    const [numbers = '', protocol = ''] = port.split('/', 2);
    if (protocol !== protocol.toLowerCase()) ast.findings.report('ExposeProtoCasing', instruction, port);
    if (numbers.includes(':')) ast.findings.report('ExposeInvalidFormat', instruction, port);
  }
}

function lintSources(
  { source: { ast }, options: { isIgnored } }: Conversion,
  state: StageState,
  instruction: AddInstruction | CopyInstruction,
): void {
  if (!isIgnored) return;
  const expander = createExpander(ast.directives.escape);
  for (const word of instruction.sources) {
    const path = expander.word(word, lookupOf(state.env));
    if (REMOTE.test(path) || !isIgnored(posix.normalize(path))) continue;
    ast.findings.report(
      'CopyIgnoredFile',
      instruction,
      instruction.kind === 'add' ? 'Add' : 'Copy',
      posix.normalize(path),
    );
  }
}

import { SyntaxMistake, type AddInstruction, type CopyInstruction } from '../dockerfile/index.ts';
import type { SourceLocation } from '../base/errors.ts';
import type { Conversion } from './conversion.ts';
import { checkOwner } from './owner.ts';
import { contextSource, destinationOf, stageSource } from './path.ts';
import type { StageState } from './state.ts';
import type { CopyFileAction, FileOp } from './types.ts';

/** A COPY or ADD with its variables expanded. */
export interface ExpandedCopy {
  readonly op: FileOp;
  /** `COPY --chown=1 a b # buildkit`: its line in the history. */
  readonly createdBy: string;
}

/**
 * COPY or ADD as operation; `from` says whether input 1 is the stage that files come from.
 *
 * @throws SyntaxMistake
 */
export function copyOp(
  conversion: Conversion,
  state: StageState,
  copy: CopyInstruction | AddInstruction,
  { from, location }: { readonly from: 'context' | 1; readonly location: SourceLocation },
): ExpandedCopy {
  const expand = (word: string): string => conversion.expand(state, word);
  const sources = copy.sources.map(expand);
  const dest = expand(copy.dest);
  const owner = copy.chown === undefined ? undefined : checkOwner('--chown', expand(copy.chown));
  const chmod = copy.chmod === undefined ? undefined : expand(copy.chmod);
  const { path, isDirectory } = destinationOf(state.workdir, dest);
  const action: CopyFileAction = {
    action: 'copy',
    from,
    sources: sources.map(from === 'context' ? contextSource : stageSource),
    dest: path,
    // Several sources only fit into a directory: BuildKit takes the destination for one without a slash too.
    destIsDirectory: isDirectory || sources.length > 1,
    owner: owner === '' ? undefined : owner,
    mode: chmod === undefined || chmod === '' ? undefined : readMode(chmod),
    unpack: copy.kind === 'add',
    location,
  };
  const flags = [...(owner ? [`--chown=${owner}`] : []), ...(chmod ? [`--chmod=${chmod}`] : [])];
  const createdBy = [copy.kind.toUpperCase(), ...flags, ...sources, dest, '# buildkit'].join(' ');
  return { op: { type: 'file', actions: [action] }, createdBy };
}

function readMode(chmod: string): number {
  const mode = /^[0-7]+$/.test(chmod) ? Number.parseInt(chmod, 8) : Number.NaN;
  if (mode <= 0o7777) return mode;
  throw new SyntaxMistake(
    'bad-value',
    `--chmod=${chmod} is no mode`,
    'Write an octal number up to 7777, such as --chmod=755',
  );
}

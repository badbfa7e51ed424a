import { SyntaxMistake, type AddInstruction, type CopyInstruction } from '../dockerfile/index.ts';
import type { SourceLocation } from '../base/errors.ts';
import { readChmod } from './chmod.ts';
import type { Conversion } from './conversion.ts';
import { checkOwner } from './owner.ts';
import { refuseChecksum, remoteSource } from './remote.ts';
import { contextSource, destinationOf, splitAtPivot, stageSource } from './path.ts';
import type { StageState } from './state.ts';
import type { CopyFileAction, FileAction, FileOp, GitSource, HttpSource, Placement } from './types.ts';

/** A COPY or ADD with its variables expanded. */
export interface ExpandedCopy {
  readonly op: FileOp;
  /** `COPY --chown=1 a b # buildkit`: its line in the history. */
  readonly createdBy: string;
}

/** Where the files of a copy come from, and where it stands. */
export interface CopyPlace {
  readonly from: CopyFileAction['from'];
  readonly location: SourceLocation;
}

/**
 * COPY or ADD as operation: its sources in their order, then its here-documents.
 *
 * @throws SyntaxMistake
 */
export function copyOp(
  conversion: Conversion,
  state: StageState,
  copy: CopyInstruction | AddInstruction,
  place: CopyPlace,
): ExpandedCopy {
  const expand = (word: string): string => conversion.expand(state, word);
  const words: Words = {
    sources: copy.sources.map(expand),
    dest: expand(copy.dest),
    owner: copy.chown === undefined ? '' : checkOwner('--chown', expand(copy.chown)),
    chmod: copy.chmod === undefined ? '' : expand(copy.chmod),
    exclude: copy.exclude.map(expand),
    checksum: copy.kind === 'add' && copy.checksum !== undefined ? expand(copy.checksum) : undefined,
  };
  const placement = placementOf(state, words, place.location);
  const files = copy.inlineFiles.map(({ path, data, expand: isExpanded }): FileAction => {
    requireName(path);
    const text = isExpanded ? conversion.expandDocument(state, data) : data;
    return { action: 'inline', name: path, data: text, ...placement };
  });
  const actions = [...sourceActions(copy, words, placement, place), ...files];
  // BuildKit makes a layer of its own only when no mode is given.
  const isLink = copy.link && words.chmod === '';
  return { op: { type: 'file', actions, ...(isLink ? { link: true } : {}) }, createdBy: historyOf(copy, words) };
}

/** The words of the instruction, expanded. */
interface Words {
  readonly sources: readonly string[];
  readonly dest: string;
  readonly owner: string;
  readonly chmod: string;
  readonly exclude: readonly string[];
  readonly checksum: string | undefined;
}

function placementOf(state: StageState, { dest, owner, chmod }: Words, location: SourceLocation): Placement {
  const { path, isDirectory } = destinationOf(state.workdir, dest);
  return {
    dest: path,
    destIsDirectory: isDirectory,
    ...(owner === '' ? {} : { owner }),
    ...(chmod === '' ? {} : readChmod(chmod)),
    location,
  };
}

function sourceActions(
  copy: CopyInstruction | AddInstruction,
  { sources, exclude, checksum }: Words,
  placement: Placement,
  { from }: CopyPlace,
): readonly CopyFileAction[] {
  const remote = sources.map((source) => (from === 'context' ? remoteSource(copy, source, checksum) : undefined));
  refuseChecksum(remote, checksum);
  const local = sources.filter((_, at) => remote[at] === undefined);
  const common = { ...(exclude.length > 0 ? { exclude } : {}), ...placement };
  const own = local.length === 0 ? [] : [localAction(copy, local, common, from)];
  const actions = remote.flatMap((source) => (source === undefined ? [] : [remoteAction(copy, source, common)]));
  // In the order of the instruction where it can be told: what comes later replaces what came before.
  return remote[0] === undefined ? [...own, ...actions] : [...actions, ...own];
}

type Common = Placement & Pick<CopyFileAction, 'exclude'>;

function localAction(
  copy: CopyInstruction | AddInstruction,
  sources: readonly string[],
  common: Common,
  from: CopyFileAction['from'],
): CopyFileAction {
  const toSource = typeof from === 'number' ? stageSource : contextSource;
  const isParents = copy.kind === 'copy' && copy.parents;
  const pivoted = sources.map((source) => (isParents ? splitAtPivot(source) : { base: source, include: '' }));
  return {
    action: 'copy',
    from,
    sources: pivoted.map(({ base }) => toSource(base)),
    ...(isParents ? { include: pivoted.map(({ include }) => include) } : {}),
    unpack: copy.kind === 'add' && copy.unpack !== false,
    ...common,
  };
}

/** A download is one file, which is unpacked only when that is asked for; a repository is copied as it is. */
function remoteAction(
  copy: CopyInstruction | AddInstruction,
  from: HttpSource | GitSource,
  common: Common,
): CopyFileAction {
  const isFile = from.type === 'http';
  const unpack = isFile && copy.kind === 'add' && copy.unpack === true;
  return { action: 'copy', from, sources: [isFile ? '*' : '.'], unpack, ...common };
}

/** A here-document becomes a file of its name: what names a way to one is refused. */
function requireName(name: string): void {
  if (name !== '.' && name !== '..' && !name.includes('/')) return;
  throw new SyntaxMistake('bad-value', `the here-document "${name}" is no file name`, 'Use a word without slashes');
}

/** BuildKit's line: `--link`, `--exclude` and here-documents' texts are not in it. */
function historyOf(copy: CopyInstruction | AddInstruction, { sources, dest, owner, chmod }: Words): string {
  const flags = [
    ...(copy.kind === 'copy' && copy.parents ? ['--parents'] : []),
    ...(owner ? [`--chown=${owner}`] : []),
    ...(chmod ? [`--chmod=${chmod}`] : []),
  ];
  const documents = copy.inlineFiles.map(({ path }) => `<<${path}`);
  return [copy.kind.toUpperCase(), ...flags, ...sources, ...documents, dest, '# buildkit'].join(' ');
}

import {
  createExpander,
  locate,
  SyntaxMistake,
  type Instruction,
  type MountFlag,
  type Place,
  type Stage,
  type Stages,
} from '../dockerfile/index.ts';
import { suggest } from '../base/suggest.ts';
import { parsePlatform } from '../image/platform.ts';
import type { Platform } from '../image/types.ts';
import { atStage } from './at-stage.ts';
import type { GraphOptions } from './options.ts';
import { isReference, lintDefaults, lintFromNames, lintPlatform, namesInFrom } from './lint/from.ts';
import { missingArg, sentenceOf, type MissingArg } from './missing-arg.ts';
import { contextNamed } from './named.ts';
import { copySource, findByName } from './reference.ts';
import { globalScope } from './scope.ts';

/** A stage whose base is known by name only. */
export interface LinkedStage {
  readonly stage: Stage;
  readonly base: ScratchBase | StageBase | FilesBase | NamedImage;
  readonly platform: Platform;
}

/** FROM an image that is known by name only. */
export interface NamedImage {
  readonly type: 'image';
  readonly name: string;
  /** What to type when the name is none: variables of it have no value. */
  readonly hint?: string | undefined;
}

/** FROM scratch. */
export interface ScratchBase {
  readonly type: 'scratch';
}

/** FROM a named context that is a folder, a repository or an archive. */
export interface FilesBase {
  readonly type: 'files';
  readonly name: string;
}

/** FROM an earlier stage. */
export interface StageBase {
  readonly type: 'stage';
  readonly index: number;
}

/**
 * Expands the FROM lines and finds the earlier stages that they name.
 *
 * @throws DockerfileError naming the line
 */
export function linkStages(source: Stages, options: GraphOptions): readonly LinkedStage[] {
  const scope = globalScope(source, options);
  const expander = createExpander(source.ast.directives.escape);
  const known = namesInFrom(source, scope);
  const expand = (stage: Stage, word: string): string => {
    const { text, unmatched } = expander.words(word, (name) => scope.get(name));
    lintFromNames(source, stage, known, unmatched);
    return text;
  };
  const baseOf = (stage: Stage): Named => {
    const { matched, unmatched } = expander.words(stage.base, (name) => scope.get(name));
    const empty = [...matched, ...unmatched].filter((name) => (scope.get(name) ?? '') === '');
    return { name: expand(stage, stage.base), missing: empty.map((name) => missingArg(source, name, scope)) };
  };
  lintDefaults(source, options);
  return source.stages.map((stage) =>
    locate(source.ast, stage, () => ({
      ...linkBase(source, stage, baseOf(stage), options),
      platform: platformOf(source, stage, { options, scope, expand }),
    })),
  );
}

interface Expansion {
  readonly options: GraphOptions;
  readonly scope: ReadonlyMap<string, string>;
  readonly expand: (stage: Stage, word: string) => string;
}

function platformOf(source: Stages, stage: Stage, { options, scope, expand }: Expansion): Platform {
  const { platform } = stage;
  if (platform === undefined) return options.platform;
  const text = expand(stage, platform);
  lintPlatform(source, { ...stage, platform }, scope);
  return readPlatform(source, stage, text, scope);
}

/** The stages that the target needs, in file order. */
export function reachableFrom(source: Stages, linked: readonly LinkedStage[], target: number): readonly LinkedStage[] {
  const reached = new Set([target]);
  for (const index of reached) {
    const link = linked[index];
    if (link?.base.type === 'stage') reached.add(link.base.index);
    for (const from of link ? copySources(source, link.stage) : []) reached.add(from.index);
  }
  return linked.filter(({ stage }) => reached.has(stage.index));
}

/** The name of a base, and what is wrong with the variables in it that have no value. */
interface Named {
  readonly name: string;
  readonly missing: readonly MissingArg[];
}

function linkBase(
  source: Stages,
  stage: Stage,
  { name, missing }: Named,
  { contexts = {} }: GraphOptions,
): Pick<LinkedStage, 'stage' | 'base'> {
  if (name === '') {
    const states = missing.map(({ state }) => `: ${state}`).slice(0, 1);
    throw new SyntaxMistake('bad-value', `the base "${stage.base}" is empty${states.join('')}`, missing[0]?.hint);
  }
  // A context with the name of a stage takes the place of the whole stage, as in BuildKit.
  const instead = contextNamed(contexts, stage.name);
  if (instead) return { stage: { ...stage, instructions: [] }, base: instead };
  const earlier = findByName(source.stages.slice(0, stage.index), name);
  if (earlier) return { stage, base: { type: 'stage', index: earlier.index } };
  return { stage, base: contextNamed(contexts, name) ?? imageBase(name, missing) };
}

function imageBase(name: string, [missing]: readonly MissingArg[]): LinkedStage['base'] {
  if (name === 'scratch') return { type: 'scratch' };
  return { type: 'image', name, ...(missing && !isReference(name) ? { hint: sentenceOf(missing) } : {}) };
}

function readPlatform(source: Stages, stage: Stage, text: string, scope: ReadonlyMap<string, string>): Platform {
  if (text === '') {
    const word = stage.platform ?? '';
    const near = suggest(word.replace(/\W/g, ''), scope.keys());
    const hint = near === undefined ? 'Write for example --platform=linux/amd64' : `Did you mean $${near}?`;
    throw new SyntaxMistake('bad-value', `the platform "${word}" is empty`, hint);
  }
  try {
    return parsePlatform(text);
  } catch (error) {
    throw atStage(source, stage, error);
  }
}

function copySources(source: Stages, stage: Stage): readonly Stage[] {
  return copiesFrom(stage).flatMap((copy) => copySource(source, stage, copy) ?? []);
}

/** Where a stage copies or mounts from somewhere else than the context. */
export function copiesFrom(stage: Stage): readonly (Place & { readonly from: string })[] {
  return stage.instructions.flatMap((instruction) => {
    const { startLine, endLine, original } = instruction;
    return fromWords(instruction).map((from) => ({ startLine, endLine, original, from }));
  });
}

function fromWords(instruction: Instruction): readonly string[] {
  if (instruction.kind === 'copy') return instruction.from === undefined ? [] : [instruction.from];
  if (instruction.kind !== 'run') return [];
  return instruction.mounts.map(fromOfMount).filter((from) => from !== '');
}

/** The last one counts, as when the mount is typed; it takes no variables. */
function fromOfMount({ fields }: MountFlag): string {
  const field = fields.findLast((candidate) => /^from=/i.test(candidate)) ?? '';
  return field.slice('from='.length);
}

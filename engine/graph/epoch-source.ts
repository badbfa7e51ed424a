import { EngineError } from '../base/errors.ts';
import {
  createExpander,
  DockerfileError,
  locate,
  where,
  type AddInstruction,
  type Range,
  type Stage,
  type Stages,
} from '../dockerfile/index.ts';
import { contextNamed } from './named.ts';
import type { GraphOptions } from './options.ts';
import { remoteSource } from './remote.ts';
import { globalScope } from './scope.ts';
import type { GitSource, HttpSource, TreeSource } from './types.ts';

/** The argument that an image's time is told by. */
export const EPOCH = 'SOURCE_DATE_EPOCH';

/**
 * Whose time `SOURCE_DATE_EPOCH=NAME` is: a named context of that name, else the one address that the stage of that name adds to nothing. Undefined
 * for a context that has no such time: an image. Source: BuildKit, dockerfile2llb/epoch.go.
 *
 * @throws `EPOCH_INVALID` where nothing has the name, and with its line for a stage that does anything else; DockerfileError for words that are wrong
 */
export function epochSource(source: Stages, name: string, options: GraphOptions): TreeSource | undefined {
  const context = contextNamed(options.contexts ?? {}, name);
  if (context) return context.type === 'image' ? undefined : { type: 'named', name: context.name };
  const stage = source.stages.find((one) => one.name === name.toLowerCase());
  if (stage) return addedSource(source, stage, options);
  throw new EngineError(
    'EPOCH_INVALID',
    `Cannot use ${EPOCH}=${name}: it is neither seconds since 1970 nor "context", and no stage or named context has that name`,
    { hint: `${EPOCH}=$(git log -1 --format=%ct)` },
  );
}

function addedSource(source: Stages, stage: Stage, options: GraphOptions): HttpSource | GitSource {
  const { ast } = source;
  const scope = new Map([...globalScope(source, options)].filter(([key]) => key !== EPOCH));
  const expander = createExpander(ast.directives.escape);
  const expand = (word: string): string => expander.word(word, (key) => scope.get(key));
  const refuse = (place: Range, state: string): DockerfileError => unfit(source, stage, place, state);
  if (locate(ast, stage, () => expand(stage.base)) !== 'scratch') throw refuse(stage, 'it is not FROM scratch');
  let found: HttpSource | GitSource | undefined;
  for (const instruction of stage.instructions) {
    if (instruction.kind === 'arg') {
      for (const { key, value } of instruction.args) {
        const set =
          given(options, key) ?? (value === undefined ? undefined : locate(ast, instruction, () => expand(value)));
        if (set !== undefined) scope.set(key, set);
      }
    } else if (instruction.kind === 'add') {
      if (found) throw refuse(instruction, 'it has a second ADD');
      found = locate(ast, instruction, () => addressOf(instruction, expand));
      if (!found) throw refuse(instruction, 'its ADD is not of one URL or repository');
    } else throw refuse(instruction, `it has ${instruction.kind.toUpperCase()}`);
  }
  if (!found) throw refuse(stage, 'it has no ADD');
  return found;
}

function given({ buildArgs = {} }: GraphOptions, key: string): string | undefined {
  return Object.hasOwn(buildArgs, key) ? buildArgs[key] : undefined;
}

function addressOf(add: AddInstruction, expand: (word: string) => string): HttpSource | GitSource | undefined {
  const [first, ...others] = add.sources;
  if (first === undefined || others.length > 0 || add.inlineFiles.length > 0) return undefined;
  return remoteSource(add, expand(first), add.checksum === undefined ? undefined : expand(add.checksum));
}

function unfit(source: Stages, stage: Stage, place: Range, state: string): DockerfileError {
  return new DockerfileError(
    'EPOCH_INVALID',
    `Cannot use ${EPOCH}=${stage.name}: ${state} (${where(source.ast, place)})`,
    source.ast,
    place,
    { hint: 'A stage that gives a time is FROM scratch with ARGs and one ADD of a URL or a repository' },
  );
}

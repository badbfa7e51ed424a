import { parseMount, type ArgInstruction, type Range, type Stage } from '../dockerfile/index.ts';
import { convertStages } from './convert.ts';
import { stateOf, type Conversion } from './conversion.ts';
import type { GraphOptions } from './options.ts';
import type { ResolvedStages } from './resolve.ts';
import { globalScope } from './scope.ts';

/** What a target takes from the one who builds it: `docker build --call=outline`. */
export interface Outline {
  /** Empty for a stage without a name. */
  readonly name: string;
  readonly description: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
}

/** A build argument. */
export interface OutlineArg extends Range {
  readonly name: string;
  readonly description: string;
  /** What holds without more: the default, or what was given. */
  readonly value: string;
}

/** A secret or an agent that a RUN takes. */
export interface OutlineMount extends Range {
  readonly name: string;
  readonly required: boolean;
}

/**
 * The outline of the target and of the stages that it needs. What several stages declare is shown once, as the target has it.
 *
 * @throws DockerfileError naming the line
 */
export function outlineOf(resolved: ResolvedStages, options: GraphOptions): Outline {
  const conversion = convertStages(resolved, options);
  const stages = [...resolved.stages].reverse().map(({ stage }) => stage);
  const target = resolved.source.stages[resolved.target];
  return {
    name: target?.name ?? '',
    description: target?.doc ?? '',
    args: byLine([...stages.flatMap((stage) => argsOf(conversion, stage)), ...globalsOf(resolved, options)]),
    secrets: byLine(stages.flatMap((stage) => mountsOf(conversion, stage, 'secret'))),
    ssh: byLine(stages.flatMap((stage) => mountsOf(conversion, stage, 'ssh'))),
  };
}

/** Of each name the first one, then by line. */
function byLine<T extends Range & { readonly name: string }>(found: readonly T[]): readonly T[] {
  const once = found.filter(({ name }, index) => found.findIndex((other) => other.name === name) === index);
  return once.sort((a, b) => a.startLine - b.startLine);
}

function argsOf(conversion: Conversion, stage: Stage): readonly OutlineArg[] {
  const { args } = stateOf(conversion, stage.index);
  const declared = stage.instructions.filter((instruction) => instruction.kind === 'arg');
  return declared.reverse().flatMap((instruction) =>
    instruction.args.map(({ key, doc }) => ({
      name: key,
      description: doc || docOfGlobal(conversion.source.globalArgs, key),
      value: args.findLast((arg) => arg.key === key)?.value ?? '',
      ...rangeOf(instruction),
    })),
  );
}

/** Global arguments that a FROM uses. */
function globalsOf({ source, stages }: ResolvedStages, options: GraphOptions): readonly OutlineArg[] {
  const scope = globalScope(source, options);
  const words = stages.map(({ stage }) => `${stage.base} ${stage.platform ?? ''}`).join(' ');
  return source.globalArgs.flatMap((instruction) =>
    instruction.args
      .filter(({ key }) => new RegExp(`\\$\\{?${key}\\b`).test(words))
      .map(({ key, doc }) => ({
        name: key,
        description: doc,
        value: scope.get(key) ?? '',
        ...rangeOf(instruction),
      })),
  );
}

function docOfGlobal(globals: readonly ArgInstruction[], name: string): string {
  return globals.flatMap(({ args }) => args).find(({ key }) => key === name)?.doc ?? '';
}

function mountsOf(conversion: Conversion, stage: Stage, type: 'secret' | 'ssh'): readonly OutlineMount[] {
  const state = stateOf(conversion, stage.index);
  return stage.instructions.flatMap((instruction) => {
    if (instruction.kind !== 'run') return [];
    return instruction.mounts.flatMap((flag) => {
      const mount = parseMount(flag, (word) => conversion.expand(state, word));
      if (mount.type !== type) return [];
      const file = mount.target?.slice(mount.target.lastIndexOf('/') + 1);
      const name = mount.id ?? mount.source ?? (type === 'ssh' ? 'default' : (file ?? ''));
      return [{ name, required: mount.required === true, ...rangeOf(instruction) }];
    });
  });
}

function rangeOf({ startLine, endLine }: Range): Range {
  return { startLine, endLine };
}

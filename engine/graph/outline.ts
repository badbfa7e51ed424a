import { parseMount, type Range, type Stage } from '../dockerfile/index.ts';
import { convertStages } from './convert.ts';
import { stateOf, type Conversion } from './conversion.ts';
import type { GraphOptions } from './options.ts';
import { argsOf, type OutlineArg } from './outline-args.ts';
import type { ResolvedStages } from './resolve.ts';

/** What a target takes from the one who builds it: `docker build --call=outline`. */
export interface Outline {
  /** Empty for a stage without a name. */
  readonly name: string;
  readonly description: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
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
    args: byLine(argsOf(conversion, resolved, options)),
    secrets: byLine(stages.flatMap((stage) => mountsOf(conversion, stage, 'secret'))),
    ssh: byLine(stages.flatMap((stage) => mountsOf(conversion, stage, 'ssh'))),
  };
}

/** Of each name the first one, then by line. */
function byLine<T extends Range & { readonly name: string }>(found: readonly T[]): readonly T[] {
  const once = found.filter(({ name }, index) => found.findIndex((other) => other.name === name) === index);
  return once.sort((a, b) => a.startLine - b.startLine);
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

import { suggest } from '../base/suggest.ts';
import { DockerfileError, where, type CopyInstruction, type Stage, type Stages } from '../dockerfile/index.ts';

/**
 * The stage that `COPY --from` means: a number, or a name in any case.
 *
 * @throws DockerfileError naming stage and line: the stage itself, a later one, a number that is none;
 *   `UNSUPPORTED_FLAG` for a name that is no stage, which would be an image
 */
export function copySource(source: Stages, stage: Stage, copy: CopyInstruction & { readonly from: string }): Stage {
  const { from } = copy;
  const found = /^[+-]?\d+$/.test(from) ? source.stages[Number(from)] : findByName(source.stages, from);
  if (!found) throw /^[+-]?\d+$/.test(from) ? noSuchNumber(source, copy) : noSuchName(source, copy);
  if (found.index < stage.index) return found;
  const state = found.index === stage.index ? 'it is the stage itself' : `it comes later, on line ${found.startLine}`;
  const message = `Cannot copy from stage "${from}" on ${where(source.ast, copy)}: ${state}`;
  const hint = 'Move the stage that is copied from above this one';
  throw new DockerfileError('DOCKERFILE_INVALID', message, source.ast, copy, { hint });
}

/** The last stage of that name, as in BuildKit when a name is used twice. */
export function findByName(stages: readonly Stage[], name: string): Stage | undefined {
  return name === '' ? undefined : stages.findLast((stage) => stage.name === name.toLowerCase());
}

/** Names and numbers of the stages, for messages. */
export function listStages(stages: readonly Stage[]): string {
  return stages.map(({ name, index }) => (name === '' ? String(index) : name)).join(', ');
}

type From = CopyInstruction & { readonly from: string };

function noSuchNumber(source: Stages, copy: From): DockerfileError {
  const message = `Cannot copy from stage ${copy.from} on ${where(source.ast, copy)}: there are only stages 0 to ${source.stages.length - 1}`;
  return new DockerfileError('DOCKERFILE_INVALID', message, source.ast, copy);
}

function noSuchName(source: Stages, copy: From): DockerfileError {
  const near = suggest(
    copy.from,
    source.stages.map(({ name }) => name).filter((name) => name !== ''),
  );
  const message = `Cannot copy from "${copy.from}" on ${where(source.ast, copy)}: no stage has that name, and COPY --from=image is not supported yet`;
  const hint =
    near === undefined ? `Write FROM ${copy.from} AS name above, and COPY --from=name` : `Did you mean --from=${near}?`;
  return new DockerfileError('UNSUPPORTED_FLAG', message, source.ast, copy, { hint });
}

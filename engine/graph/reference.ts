import { suggest } from '../base/suggest.ts';
import { DockerfileError, where, type Place, type Stage, type Stages } from '../dockerfile/index.ts';

/**
 * The stage that `COPY --from` means: a number, or a name in any case; undefined for a name that is no stage, which is an image.
 *
 * @throws DockerfileError naming stage and line: the stage itself, a later one, a number that is none
 */
export function copySource(source: Stages, stage: Stage, copy: Place & { readonly from: string }): Stage | undefined {
  const { from } = copy;
  refuseVariable(source, copy);
  const isNumber = /^[+-]?\d+$/.test(from);
  const found = isNumber ? source.stages[Number(from)] : findByName(source.stages, from);
  if (!found && isNumber) throw noSuchNumber(source, copy);
  if (!found || found.index < stage.index) return found;
  const state = found.index === stage.index ? 'it is the stage itself' : `it comes later, on line ${found.startLine}`;
  const message = `Cannot copy from stage "${from}" on ${where(source.ast, copy)}: ${state}`;
  const hint = 'Move the stage that is copied from above this one';
  throw new DockerfileError('DOCKERFILE_INVALID', message, source.ast, copy, { hint });
}

/** What is copied from decides which stages are built, before any variable of a stage is known. */
function refuseVariable({ ast }: Stages, copy: Place & { readonly from: string }): void {
  if (!copy.from.includes('$')) return;
  const message = `Cannot read ${where(ast, copy)}: --from="${copy.from}" takes no variables`;
  const hint = 'Give the image a name with FROM … AS name, which takes variables, and use that name';
  throw new DockerfileError('DOCKERFILE_INVALID', message, ast, copy, { hint });
}

/** The last stage of that name, as in BuildKit when a name is used twice. */
export function findByName(stages: readonly Stage[], name: string): Stage | undefined {
  return name === '' ? undefined : stages.findLast((stage) => stage.name === name.toLowerCase());
}

/** Names and numbers of the stages, for messages. */
export function listStages(stages: readonly Stage[]): string {
  return stages.map(({ name, index }) => (name === '' ? String(index) : name)).join(', ');
}

/** The stage whose name is like that one, for hints. */
export function nearStage(stages: readonly Stage[], name: string): string | undefined {
  return suggest(
    name,
    stages.map((stage) => stage.name).filter((known) => known !== ''),
  );
}

function noSuchNumber(source: Stages, copy: Place & { readonly from: string }): DockerfileError {
  const message = `Cannot copy from stage ${copy.from} on ${where(source.ast, copy)}: there are only stages 0 to ${source.stages.length - 1}`;
  const hint = `Name a stage or its number: ${listStages(source.stages)}`;
  return new DockerfileError('DOCKERFILE_INVALID', message, source.ast, copy, { hint });
}

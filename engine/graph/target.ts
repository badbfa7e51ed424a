import { EngineError } from '../base/errors.ts';
import { suggest } from '../base/suggest.ts';
import { DockerfileError, type Stage, type Stages } from '../dockerfile/index.ts';
import { findByName, listStages } from './reference.ts';

/**
 * The stage to build: by name, by number, else the last one.
 *
 * @throws `TARGET_NOT_FOUND` listing the stages, `DOCKERFILE_NO_STAGE`
 */
export function findTarget({ ast, stages }: Stages, target: string | undefined): Stage {
  const last = stages.at(-1);
  if (!last) {
    const range = { startLine: ast.endLine, endLine: ast.endLine };
    const hint = 'Add a line such as: FROM python:3.11-slim';
    throw new DockerfileError(
      'DOCKERFILE_NO_STAGE',
      `Cannot build ${ast.file}: no build stage, there is no FROM`,
      ast,
      range,
      { hint },
    );
  }
  if (target === undefined || target === '') return last;
  const found = findByName(stages, target) ?? (/^\d+$/.test(target) ? stages[Number(target)] : undefined);
  if (found) return found;
  const near = suggest(
    target,
    stages.map(({ name }) => name),
  );
  const hint = near === undefined || near === '' ? undefined : `Did you mean ${near}?`;
  const message = `Cannot build the target "${target}" of ${ast.file}: its stages are ${listStages(stages)}`;
  throw new EngineError('TARGET_NOT_FOUND', message, { hint });
}

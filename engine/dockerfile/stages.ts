import { EngineError } from '../base/errors.ts';
import type { Ast } from './ast.ts';
import type { Stages } from './instruction.ts';

/** @throws DockerfileError */
export function parseStages(ast: Ast): Stages {
  throw new EngineError('UNSUPPORTED', `Cannot type ${ast.file} yet`);
}

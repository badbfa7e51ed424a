import { EngineError } from '../base/errors.ts';
import type { Ast } from './ast.ts';

/** @throws DockerfileError */
export function parse(text: string | Uint8Array, options: { readonly file: string }): Ast {
  throw new EngineError('UNSUPPORTED', `Cannot parse ${options.file} of ${text.length} yet`);
}

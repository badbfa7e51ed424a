import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '../usage-error.ts';

/** The context directory that an operand names, absolute. @throws {UsageError} for what is none, or not done */
export function contextOf(operand: string, cwd: string): string {
  if (operand === '-')
    throw new UsageError(
      'Cannot use "-" as the context: a context on standard input is not supported yet',
      'give a directory',
    );
  if (/^(https?|git|ssh):\/\/|^git@|\.git(#|$)/.test(operand) && !existsSync(resolve(cwd, operand))) {
    throw new UsageError(
      `Cannot use ${operand} as the context: a remote context is not supported yet`,
      'clone it, and give the directory',
    );
  }
  const directory = resolve(cwd, operand);
  if (!existsSync(directory))
    throw new UsageError(`Cannot use ${operand} as the context: path "${directory}" not found`);
  if (!statSync(directory).isDirectory())
    throw new UsageError(`Cannot use ${operand} as the context: it is not a directory`);
  return directory;
}

/** The Dockerfile that `-f` names, absolute. */
export function fileOf(file: string, cwd: string): string {
  if (file === '-')
    throw new UsageError('Cannot use -f -: a Dockerfile on standard input is not supported yet', 'give a file');
  return resolve(cwd, file);
}

import { isEngineError } from '../../engine/index.ts';
import type { Context } from './context.ts';
import { reportError } from './report-error.ts';
import { type Fields, parseTemplate } from './template/index.ts';

/** An `inspect`: prints what was found as JSON or by `format`, reports what was not, and gives the exit code. */
export async function printObjects(
  context: Context,
  names: readonly string[],
  { format, find }: { readonly format: string | undefined; readonly find: (name: string) => Promise<Fields> },
): Promise<number> {
  // A wrong template is told before anything is looked for.
  const template = format === undefined || format === 'json' ? undefined : parseTemplate(format);
  const found: Fields[] = [];
  let exitCode = 0;
  const errors: unknown[] = [];
  for (const name of names) {
    try {
      found.push(await find(name));
    } catch (error) {
      if (!isEngineError(error) || context.signal.aborted) throw error;
      errors.push(error);
      exitCode = 1;
    }
  }
  if (template) for (const object of found) context.stdout.write(`${template(object)}\n`);
  else context.stdout.write(`${format === 'json' ? JSON.stringify(found) : JSON.stringify(found, null, 4)}\n`);
  for (const error of errors) reportError(error, context.stderr);
  return exitCode;
}

import { isEngineError } from '../../engine/index.ts';
import type { Context } from './context.ts';
import { reportError } from './report-error.ts';
import { type Fields, parseTemplate, type Template, TemplateError } from './template/index.ts';

/** An `inspect`: prints what was found as JSON or by `format`, reports what was not, and gives the exit code. */
export async function printObjects(
  context: Context,
  names: readonly string[],
  {
    format,
    find,
    complete,
  }: {
    readonly format: string | undefined;
    readonly find: (name: string) => Promise<Fields>;
    /** Adds what templates may ask for beside what is found. */
    readonly complete?: ((found: Fields) => Fields) | undefined;
  },
): Promise<number> {
  // A wrong template is told before anything is looked for.
  const template = format === undefined || format === 'json' ? undefined : readTemplate(context, format);
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
  if (template) exitCode = printAll(context, found, completed(template, complete)) || exitCode;
  else context.stdout.write(`${format === 'json' ? JSON.stringify(found) : JSON.stringify(found, null, 4)}\n`);
  for (const error of errors) reportError(error, context.stderr);
  return exitCode;
}

/** @throws {TemplateError} with an exit code of Docker's own for it */
function readTemplate({ fail }: Pick<Context, 'fail'>, format: string): Template {
  try {
    return parseTemplate(format);
  } catch (error) {
    fail(64);
    throw error;
  }
}

/** As Docker does: by all that there may be, and where that fails by what there is. */
function completed(template: Template, complete: (found: Fields) => Fields = (found) => found): Template {
  return (found) => {
    try {
      return template(complete(found));
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      return template(found);
    }
  };
}

/** A field that one of them has not is told, as Docker does, after an empty line; exit code 1 then. */
function printAll(context: Context, found: readonly Fields[], template: Template): number {
  let exitCode = 0;
  // As with Docker: what is found is a line each, and nothing at all is an empty one.
  if (found.length === 0) context.stdout.write('\n');
  for (const object of found) {
    try {
      context.stdout.write(`${template(object)}\n`);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      context.stdout.write('\n');
      reportError(error, context.stderr);
      exitCode = 1;
    }
  }
  return exitCode;
}

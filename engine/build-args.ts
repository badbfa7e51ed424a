import { EngineError } from './base/errors.ts';

/**
 * Whether a build argument of BuildKit's that is true or false is true.
 *
 * @throws `BUILD_ARG_INVALID` for what is neither
 */
export function isSet(buildArgs: Readonly<Record<string, string>> = {}, name: string): boolean {
  const value = Object.hasOwn(buildArgs, name) ? (buildArgs[name] ?? '') : '';
  if (value === '' || /^(?:0|f|false)$/i.test(value)) return false;
  if (/^(?:1|t|true)$/i.test(value)) return true;
  throw new EngineError('BUILD_ARG_INVALID', `Cannot use ${name}=${value}: it is neither true nor false`, {
    hint: `--build-arg ${name}=1`,
  });
}

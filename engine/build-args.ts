import { EngineError } from './base/errors.ts';

/** Build arguments by which BuildKit does what is not done here, and what to type instead. */
const REFUSED: Readonly<Record<string, string>> = {
  BUILDKIT_INLINE_CACHE: 'Use --cache-to type=registry,ref=NAME',
};

/**
 * Refuses build arguments that ask for what is not done.
 *
 * @throws `UNSUPPORTED_BUILD_ARG`
 */
export function refuseArgs(buildArgs: Readonly<Record<string, string>> = {}): void {
  for (const [name, hint] of Object.entries(REFUSED)) {
    const value = Object.hasOwn(buildArgs, name) ? (buildArgs[name] ?? '') : '';
    if (value === '' || /^(?:0|f|false)$/i.test(value)) continue;
    throw new EngineError('UNSUPPORTED_BUILD_ARG', `Cannot use the build argument ${name}: not supported yet`, {
      hint,
    });
  }
}

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

import { createExpander, locate, type Lookup, type Stages } from '../dockerfile/index.ts';
import { formatPlatform } from '../image/platform.ts';
import type { Platform } from '../image/types.ts';
import type { GraphOptions } from './options.ts';

/**
 * The global scope: platform arguments, then the ARGs before the first FROM with their defaults or the user's values.
 * Only FROM sees it; a stage takes from it by ARG.
 *
 * @throws DockerfileError when a default cannot be expanded
 */
export function globalScope({ ast, globalArgs }: Stages, options: GraphOptions): ReadonlyMap<string, string> {
  const expander = createExpander(ast.directives.escape);
  const buildArgs = options.buildArgs ?? {};
  const scope = new Map(Object.entries({ ...platformArgs(options), ...overrides(options) }));
  const lookup: Lookup = (name) => scope.get(name);
  for (const instruction of globalArgs) {
    for (const { key, value } of instruction.args) {
      const given = Object.hasOwn(buildArgs, key) ? buildArgs[key] : undefined;
      const set =
        given ?? (value === undefined ? undefined : locate(ast, instruction, () => expander.word(value, lookup)));
      if (set !== undefined) scope.set(key, set);
    }
  }
  return scope;
}

/** Names of the arguments that every file has. */
export function isPlatformArg(name: string): boolean {
  return /^(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)$|^TARGETSTAGE$/.test(name);
}

function platformArgs({ platform, buildPlatform = platform, target }: GraphOptions): Record<string, string> {
  return {
    ...describe('BUILD', buildPlatform),
    ...describe('TARGET', platform),
    TARGETSTAGE: target === undefined || target === '' ? 'default' : target,
  };
}

function describe(prefix: string, platform: Platform): Record<string, string> {
  return {
    [`${prefix}PLATFORM`]: formatPlatform(platform),
    [`${prefix}OS`]: platform.os,
    [`${prefix}OSVERSION`]: platform['os.version'] ?? '',
    [`${prefix}ARCH`]: platform.architecture,
    [`${prefix}VARIANT`]: platform.variant ?? '',
  };
}

function overrides({ buildArgs = {} }: GraphOptions): Record<string, string> {
  return Object.fromEntries(Object.entries(buildArgs).filter(([name]) => isPlatformArg(name)));
}

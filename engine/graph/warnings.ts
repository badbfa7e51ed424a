import type { WarningEvent } from '../base/progress.ts';
import type { GraphOptions } from './options.ts';
import { isProxyArg } from './proxy.ts';
import type { ResolvedStages } from './resolve.ts';
import { isPlatformArg } from './scope.ts';

/** Build arguments that the engine itself reads. */
const CONSUMED: readonly string[] = [
  'SOURCE_DATE_EPOCH',
  'BUILDKIT_CACHE_MOUNT_NS',
  'BUILDKIT_CONTEXT_KEEP_GIT_DIR',
  'BUILDKIT_DOCKERFILE_CHECK',
  'BUILDKIT_INLINE_CACHE',
  'BUILDKIT_MULTI_PLATFORM',
  'BUILDKIT_SANDBOX_HOSTNAME',
  'BUILDKIT_SBOM_SCAN_CONTEXT',
  'BUILDKIT_SBOM_SCAN_STAGE',
  // As `# syntax=`: what it names is built in.
  'BUILDKIT_SYNTAX',
];

/** Build arguments that nothing takes; what the checks find in the file is in its findings. */
export function unusedArgs(
  { source, stages }: Pick<ResolvedStages, 'source' | 'stages'>,
  { buildArgs = {} }: GraphOptions,
): readonly WarningEvent[] {
  const declared = new Set(
    [
      ...source.globalArgs,
      ...source.stages.flatMap((stage) => stage.instructions),
      // Triggers of a base stand only here.
      ...stages.flatMap(({ stage }) => stage.instructions),
    ].flatMap((instruction) => (instruction.kind === 'arg' ? instruction.args.map(({ key }) => key) : [])),
  );
  const isUsed = (name: string): boolean =>
    declared.has(name) || isProxyArg(name) || isPlatformArg(name) || CONSUMED.includes(name);
  const unused = Object.keys(buildArgs).filter((name) => !isUsed(name));
  if (unused.length === 0) return [];
  const message = `Build arguments that no ARG takes: ${unused.sort().join(', ')}`;
  return [{ type: 'warning', message, hint: `Add ARG ${unused[0]} to the stage that needs it` }];
}

import type { WarningEvent } from '../base/progress.ts';
import type { Stage, Stages } from '../dockerfile/index.ts';
import { runsOn } from '../image/choose.ts';
import { formatPlatform } from '../image/platform.ts';
import type { GraphOptions } from './options.ts';
import { isProxyArg } from './proxy.ts';
import type { ResolvedStage, ResolvedStages } from './resolve.ts';
import { isPlatformArg } from './scope.ts';

/** Build arguments that the engine itself reads. */
const CONSUMED: readonly string[] = ['SOURCE_DATE_EPOCH'];
const RESERVED: readonly string[] = ['scratch', 'context'];

/** What the user should know about the file and the options, and what does not stop the build. */
export function warningsOf({ source, stages }: ResolvedStages, options: GraphOptions): readonly WarningEvent[] {
  const file = source.ast.file;
  const ofFile = source.warnings.map(({ rule, message, startLine, endLine }): WarningEvent => ({
    type: 'warning',
    message: `${rule}: ${message}`,
    location: { file, startLine, endLine },
  }));
  return [
    ...ofFile,
    ...source.stages.flatMap((stage) => nameWarnings(source, stage)),
    ...stages.flatMap((stage) => platformWarnings(source, stage)),
    ...unusedArgs(source, options),
  ];
}

/** A base without an index is taken as it is, also when its programs cannot run here. */
function platformWarnings({ ast }: Stages, { stage, base, platform }: ResolvedStage): readonly WarningEvent[] {
  if (base.type !== 'image' || runsOn(base.config, platform)) return [];
  const { startLine, endLine } = stage;
  const state = `${base.reference} is for ${formatPlatform(base.config)}, and this build is for ${formatPlatform(platform)}`;
  const location = { file: ast.file, startLine, endLine };
  return [{ type: 'warning', message: `InvalidBaseImagePlatform: ${state}`, location }];
}

function nameWarnings({ ast, stages }: Stages, { name, index, startLine, endLine }: Stage): readonly WarningEvent[] {
  if (name === '') return [];
  const location = { file: ast.file, startLine, endLine };
  const earlier = stages.slice(0, index).find((stage) => stage.name === name);
  const duplicate = earlier ? [`DuplicateStageName: '${name}' also names the stage on line ${earlier.startLine}`] : [];
  const reserved = RESERVED.includes(name) ? [`ReservedStageName: '${name}' should not name a stage`] : [];
  return [...duplicate, ...reserved].map((message) => ({ type: 'warning', message, location }));
}

function unusedArgs({ globalArgs, stages }: Stages, { buildArgs = {} }: GraphOptions): readonly WarningEvent[] {
  const declared = new Set(
    [...globalArgs, ...stages.flatMap((stage) => stage.instructions)].flatMap((instruction) =>
      instruction.kind === 'arg' ? instruction.args.map(({ key }) => key) : [],
    ),
  );
  const isUsed = (name: string): boolean =>
    declared.has(name) ||
    isProxyArg(name) ||
    isPlatformArg(name) ||
    CONSUMED.includes(name) ||
    name.startsWith('BUILDKIT_');
  const unused = Object.keys(buildArgs).filter((name) => !isUsed(name));
  if (unused.length === 0) return [];
  const message = `Build arguments that no ARG takes: ${unused.sort().join(', ')}`;
  return [{ type: 'warning', message, hint: `Add ARG ${unused[0]} to the stage that needs it` }];
}

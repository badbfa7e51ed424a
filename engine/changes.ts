import { EngineError } from './base/errors.ts';
import { hostPlatform } from './host-platform.ts';
import { parse, parseStages } from './dockerfile/index.ts';
import { resolveBases, toGraph } from './graph/index.ts';
import { OCI_CONFIG } from './image/media-type.ts';
import { EMPTY_DIGEST } from './image/digest.ts';
import type { ContainerConfig } from './image/types.ts';

/** Instructions that docker takes for `--change`: they speak of metadata alone. */
const ALLOWED: ReadonlySet<string> = new Set(
  'cmd entrypoint env expose healthcheck label onbuild stopsignal user volume workdir'.split(' '),
);

/**
 * A container configuration with Dockerfile instructions applied to it: `-c` of commit and import.
 *
 * @throws `CHANGE_INVALID` for an instruction that makes files; DockerfileError naming the line, which is the number of the change
 */
export async function applyChanges(config: ContainerConfig, changes: readonly string[]): Promise<ContainerConfig> {
  if (changes.length === 0) return config;
  const { OnBuild: triggers = [], ...plain } = config;
  const source = parseStages(parse(`FROM base\n${changes.join('\n')}\n`, { file: '--change' }));
  const further = source.stages[1];
  if (further) throw notMetadata('FROM', further.original);
  for (const { kind, original } of source.stages.flatMap(({ instructions }) => instructions)) {
    if (!ALLOWED.has(kind)) throw notMetadata(kind.toUpperCase(), original);
  }
  const platform = hostPlatform();
  const base = { ...platform, config: plain, rootfs: { type: 'layers' as const, diff_ids: [] } };
  const manifest = { mediaType: OCI_CONFIG, digest: EMPTY_DIGEST, size: 0 };
  const resolved = await resolveBases(
    source,
    { resolve: async (reference) => ({ reference, manifest, config: base }) },
    { platform },
  );
  const { config: changed } = toGraph(resolved, { platform }).image;
  const OnBuild = [...triggers, ...(changed.OnBuild ?? [])];
  return OnBuild.length === 0 ? changed : { ...changed, OnBuild };
}

function notMetadata(word: string, original: string): EngineError {
  return new EngineError('CHANGE_INVALID', `Cannot apply --change "${original}": ${word} is not metadata`, {
    hint: `Use one of ${[...ALLOWED].map((name) => name.toUpperCase()).join(', ')}`,
  });
}

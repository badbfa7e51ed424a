import { isDeepStrictEqual } from 'node:util';
import type { ContainerConfig } from '../../../engine/index.ts';
import { SlowRegexError } from '../regex.ts';
import type { Mask } from '../text.ts';
import { quote } from './context.ts';
import type { Variables } from './expand.ts';
import { matchesGo } from './go-regex.ts';
import type { MetadataTest, WantedPair } from './types.ts';

/** In what an image's configuration is not as the test wants it; its variables come with the file's on top. */
export function metadataProblems(
  test: MetadataTest,
  config: ContainerConfig,
  { env, mask }: { readonly env: Variables; readonly mask: Mask },
): readonly string[] {
  const labels = new Map(Object.entries(config.Labels ?? {}));
  // A port without a protocol is one of TCP; the tool compares the numbers alone.
  const ports = Object.keys(config.ExposedPorts ?? {}).flatMap((port) => [port, port.split('/', 1)[0] ?? port]);
  const volumes = Object.keys(config.Volumes ?? {});
  return [
    ...test.env.flatMap((pair) => pairProblems('variable', pair, env, mask)),
    ...test.unboundEnv.flatMap((key) =>
      env.has(key) ? [`variable ${key}: wanted nothing, got ${quote(env.get(key) ?? '', mask)}`] : [],
    ),
    ...test.labels.flatMap((pair) => pairProblems('label', pair, labels, mask)),
    ...listProblems('entrypoint', test.entrypoint, config.Entrypoint, mask),
    ...listProblems('cmd', test.cmd, config.Cmd, mask),
    ...textProblems('workdir', test.workdir, config.WorkingDir, mask),
    ...textProblems('user', test.user, config.User, mask),
    ...lackProblems('port', test.exposedPorts, ports, 'EXPOSE'),
    ...excessProblems('port', test.unexposedPorts, ports),
    ...lackProblems('volume', test.volumes, volumes, 'VOLUME'),
    ...excessProblems('volume', test.unmountedVolumes, volumes),
  ];
}

function pairProblems(what: string, { key, value }: WantedPair, got: Variables, mask: Mask): readonly string[] {
  const found = got.get(key);
  const wanted = typeof value === 'string' ? quote(value, mask) : `a match of /${value.written}/`;
  if (found === undefined) return [`${what} ${key}: wanted ${wanted}, got nothing`];
  try {
    const fits = typeof value === 'string' ? found === value : matchesGo(value, found);
    return fits ? [] : [`${what} ${key}: wanted ${wanted}, got ${quote(found, mask)}`];
  } catch (error) {
    if (error instanceof SlowRegexError) return [`${what} ${key}: wanted ${wanted}, which takes too long on it`];
    throw error;
  }
}

function listProblems(
  what: string,
  wanted: readonly string[] | undefined,
  got: readonly string[] | null | undefined,
  mask: Mask,
): readonly string[] {
  if (wanted === undefined || isDeepStrictEqual([...wanted], [...(got ?? [])])) return [];
  const show = (words: readonly string[]): string => JSON.stringify(words.map(mask));
  return [`${what}: wanted ${show(wanted)}, got ${show(got ?? [])}`];
}

function textProblems(
  what: string,
  wanted: string | undefined,
  got: string | undefined,
  mask: Mask,
): readonly string[] {
  return wanted === undefined || wanted === (got ?? '')
    ? []
    : [`${what}: wanted ${quote(wanted, mask)}, got ${quote(got ?? '', mask)}`];
}

function lackProblems(
  what: string,
  wanted: readonly string[],
  got: readonly string[],
  instruction: string,
): readonly string[] {
  return wanted
    .filter((one) => !got.includes(one))
    .map((one) => `${what} ${one}: the image has no ${instruction} ${one}`);
}

function excessProblems(what: string, unwanted: readonly string[], got: readonly string[]): readonly string[] {
  return unwanted.filter((one) => got.includes(one)).map((one) => `${what} ${one}: wanted nothing, the image has it`);
}

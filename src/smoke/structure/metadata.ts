import { isDeepStrictEqual } from 'node:util';
import type { ContainerConfig } from '../../../engine/index.ts';
import { quote } from './context.ts';
import type { Variables } from './expand.ts';
import { matchesGo } from './go-regex.ts';
import type { MetadataTest, WantedPair } from './types.ts';

/** In what an image's configuration is not as the test wants it; its variables come with the file's on top. */
export function metadataProblems(test: MetadataTest, config: ContainerConfig, env: Variables): readonly string[] {
  const labels = new Map(Object.entries(config.Labels ?? {}));
  // A port without a protocol is one of TCP; the tool compares the numbers alone.
  const ports = Object.keys(config.ExposedPorts ?? {}).flatMap((port) => [port, port.split('/', 1)[0] ?? port]);
  const volumes = Object.keys(config.Volumes ?? {});
  return [
    ...test.env.flatMap((pair) => pairProblems('variable', pair, env)),
    ...test.unboundEnv.flatMap((key) =>
      env.has(key) ? [`variable ${key}: wanted nothing, got ${quote(env.get(key) ?? '')}`] : [],
    ),
    ...test.labels.flatMap((pair) => pairProblems('label', pair, labels)),
    ...listProblems('entrypoint', test.entrypoint, config.Entrypoint),
    ...listProblems('cmd', test.cmd, config.Cmd),
    ...textProblems('workdir', test.workdir, config.WorkingDir),
    ...textProblems('user', test.user, config.User),
    ...lackProblems('port', test.exposedPorts, ports, 'EXPOSE'),
    ...excessProblems('port', test.unexposedPorts, ports),
    ...lackProblems('volume', test.volumes, volumes, 'VOLUME'),
    ...excessProblems('volume', test.unmountedVolumes, volumes),
  ];
}

function pairProblems(what: string, { key, value }: WantedPair, got: Variables): readonly string[] {
  const found = got.get(key);
  const wanted = typeof value === 'string' ? quote(value) : `a match of /${value.written}/`;
  if (found === undefined) return [`${what} ${key}: wanted ${wanted}, got nothing`];
  const fits = typeof value === 'string' ? found === value : matchesGo(value, found);
  return fits ? [] : [`${what} ${key}: wanted ${wanted}, got ${quote(found)}`];
}

function listProblems(
  what: string,
  wanted: readonly string[] | undefined,
  got: readonly string[] | null | undefined,
): readonly string[] {
  if (wanted === undefined || isDeepStrictEqual([...wanted], [...(got ?? [])])) return [];
  return [`${what}: wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(got ?? [])}`];
}

function textProblems(what: string, wanted: string | undefined, got: string | undefined): readonly string[] {
  return wanted === undefined || wanted === (got ?? '')
    ? []
    : [`${what}: wanted ${quote(wanted)}, got ${quote(got ?? '')}`];
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

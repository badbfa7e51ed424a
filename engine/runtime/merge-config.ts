import type { RunSpec } from '../engine.ts';
import type { ContainerConfig } from '../image/types.ts';
import { mergeEnvironment } from './environment.ts';
import { mergeHealth } from './health.ts';

/** The image's configuration with the caller's changes, as `docker inspect` shows it. */
export function mergeConfig(config: ContainerConfig, spec: RunSpec): ContainerConfig {
  const health = mergeHealth(config.Healthcheck, spec.health);
  const exposed = exposedPorts(config, spec);
  return {
    ...config,
    ...(health ? { Healthcheck: health } : {}),
    ...(exposed ? { ExposedPorts: exposed } : {}),
    Env: mergeEnvironment(config.Env ?? [], spec.env ?? []),
    Labels: { ...config.Labels, ...spec.labels },
    ...(spec.user === undefined ? {} : { User: spec.user }),
    ...(spec.workdir === undefined ? {} : { WorkingDir: spec.workdir }),
  };
}

/** The image's, and what was asked for with `--expose` and `-p`. */
function exposedPorts(config: ContainerConfig, { expose = [], ports = [] }: RunSpec): ContainerConfig['ExposedPorts'] {
  const published = ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
  const asked = [...expose, ...published];
  if (asked.length === 0) return config.ExposedPorts;
  return { ...config.ExposedPorts, ...Object.fromEntries(asked.map((port) => [port, {}])) };
}

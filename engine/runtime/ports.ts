import { EngineError } from '../base/errors.ts';
import type { RunSpec } from '../engine.ts';
import type { ContainerConfig } from '../image/types.ts';
import type { PublishedPort } from '../native/protocol.ts';

const MAX_PORT = 65_535;

/** Ports to publish: those asked for and, with `publishAll`, every other port that the image exposes, on a free one. @throws `PORT_INVALID` */
export function publishedPorts(spec: RunSpec, config: ContainerConfig): PublishedPort[] {
  const asked = (spec.ports ?? []).map((port) => ({ ...port }));
  if (!spec.publishAll) return asked;
  const taken = new Set(asked.map((port) => `${port.containerPort}/${port.protocol}`));
  const exposed = Object.keys(config.ExposedPorts ?? {}).flatMap(parseExposed);
  return [...asked, ...exposed.filter((port) => !taken.has(`${port.containerPort}/${port.protocol}`))];
}

function parseExposed(text: string): readonly PublishedPort[] {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text);
  if (!match?.[1]) return [];
  if (Number(match[1]) < 1 || Number(match[1]) > MAX_PORT) {
    throw new EngineError('PORT_INVALID', `Cannot publish port ${text} of the image: ports go from 1 to ${MAX_PORT}`, {
      hint: 'Publish the ports that you need with -p instead of -P',
    });
  }
  const protocol = match[2] === 'udp' ? 'udp' : 'tcp';
  return [{ hostAddress: '', hostPort: 0, containerPort: Number(match[1]), protocol }];
}

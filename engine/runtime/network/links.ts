import { EngineError } from '../../base/errors.ts';
import type { ContainerLink } from '../../engine.ts';
import { type Found, isAlive } from '../list.ts';
import type { ContainerRecord } from '../record.ts';
import { DEFAULT_NETWORK } from './kinds.ts';
import { linkVariables } from './link-variables.ts';

/** What links of the default network give a container: names in `/etc/hosts`, and variables. */
export interface LegacyLinks {
  readonly hosts: readonly { readonly name: string; readonly address: string }[];
  readonly env: readonly string[];
}

/**
 * Links of the default network, which has no names: Docker's oldest way for containers to find each other.
 *
 * @param name of the container that has them
 * @throws `CONTAINER_NOT_FOUND`, `NETWORK_INVALID` for one that is on no default network
 */
export function resolveLinks(links: readonly ContainerLink[], name: string, existing: readonly Found[]): LegacyLinks {
  const all = links.map((link) => {
    const { state, record } = findLinked(existing, link);
    const place = record.memberships?.find((one) => one.name === DEFAULT_NETWORK);
    if (!place) {
      throw new EngineError(
        'NETWORK_INVALID',
        `Cannot link to ${record.name}: Cannot link to /${record.name}, as it does not belong to the default network`,
        { hint: 'give both containers one network: berth network create NET, berth run --network NET' },
      );
    }
    const names = [link.alias, record.hostname, ...(link.alias === record.name ? [] : [record.name])];
    return {
      host: { name: names.join(' '), address: place.address },
      env: linkVariables({
        alias: link.alias,
        parent: name,
        address: place.address,
        ports: portsOf({ state, record }),
        env: record.config.Env ?? [],
      }),
    };
  });
  return { hosts: all.map(({ host }) => host), env: all.flatMap(({ env }) => env) };
}

/** @throws `NETWORK_INVALID` when a container that is linked does not run: a start needs it */
export function checkLinksRun({ spec, name, memberships }: ContainerRecord, existing: readonly Found[]): void {
  if (!spec.links?.length || !memberships?.some((one) => one.name === DEFAULT_NETWORK)) return;
  for (const link of spec.links) {
    const { state, record } = findLinked(existing, link);
    if (isAlive(state.status)) continue;
    throw new EngineError(
      'NETWORK_INVALID',
      `Cannot start ${name}: Cannot link to a non running container: /${record.name} AS /${name}/${link.alias}`,
      { hint: `berth start ${record.name}` },
    );
  }
}

function findLinked(existing: readonly Found[], { container }: ContainerLink): Found {
  const asked = container.replace(/^\//, '');
  const found =
    existing.find(({ state, record }) => record.name === asked || state.id === asked) ??
    existing.find(({ state }) => asked !== '' && state.id.startsWith(asked));
  if (found) return found;
  throw new EngineError(
    'CONTAINER_NOT_FOUND',
    `Cannot link to ${asked}: could not get container for ${asked}: No such container: ${asked}`,
    { hint: 'berth ps -a lists them' },
  );
}

/** Ports that it exposes or publishes. */
function portsOf({ record }: Found): readonly string[] {
  const published = (record.spec.ports ?? []).map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
  return [...new Set([...Object.keys(record.config.ExposedPorts ?? {}), ...published])];
}

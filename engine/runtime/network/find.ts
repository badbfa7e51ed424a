import { EngineError } from '../../base/errors.ts';
import type { NetworkRecord } from './records.ts';

/** By name, id or prefix of an id. @throws `NETWORK_NOT_FOUND`, `AMBIGUOUS` */
export function findNetwork(networks: readonly NetworkRecord[], nameOrId: string): NetworkRecord {
  const exact = networks.find(({ id, name }) => name === nameOrId || id === nameOrId);
  if (exact) return exact;
  const [found, ...others] = networks.filter(({ id }) => nameOrId !== '' && id.startsWith(nameOrId));
  if (!found) {
    throw new EngineError('NETWORK_NOT_FOUND', `Cannot find network ${nameOrId}: network ${nameOrId} not found`, {
      hint: `${nameOrId === '' ? '' : `berth network create ${nameOrId}; `}berth network ls lists them`,
    });
  }
  if (others.length === 0) return found;
  throw new EngineError('AMBIGUOUS', `Cannot choose a network: ${others.length + 1} ids start with ${nameOrId}`, {
    hint: 'give more of the id, or the name',
  });
}

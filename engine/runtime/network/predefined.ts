import { createHash } from 'node:crypto';
import type { NetworkSummary } from '../../engine.ts';

/** Whether a name belongs to a network that is always there. */
export function isPredefined(name: string): boolean {
  return name === 'bridge' || name === 'host' || name === 'none';
}

/** The networks that are none of the store's: the host's, and none. Their ids are the same each time for a store. */
export function fixedNetworks(root: string): readonly NetworkSummary[] {
  const fixed = (name: string, driver: NetworkSummary['driver']): NetworkSummary => ({
    id: createHash('sha256').update(`${root}\0${name}`).digest('hex'),
    name,
    driver,
    created: new Date(0).toISOString(),
    internal: false,
    attachable: false,
    labels: {},
    options: {},
    predefined: true,
  });
  return [fixed('host', 'host'), fixed('none', 'null')];
}

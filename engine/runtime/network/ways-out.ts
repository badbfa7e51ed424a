import type { WaysOut } from '../../native/protocol.ts';
import type { Membership } from './endpoints.ts';
import type { NetworkRecord } from './records.ts';

/** A place on a network, with that network. */
export interface Joined {
  readonly place: Membership;
  readonly network: Pick<NetworkRecord, 'id' | 'name' | 'internal'>;
}

/**
 * Which networks of a container lead out, as Docker chooses: of those that are not internal the one with the highest priority, and of several such
 * the first by name; for IPv6 of those that have it.
 *
 * @returns ids
 */
export function chooseWaysOut(joined: readonly Joined[]): WaysOut {
  const ordered = joined
    .filter(({ network }) => !network.internal)
    .sort((a, b) => priorityOf(b) - priorityOf(a) || (a.network.name < b.network.name ? -1 : 1));
  const six = ordered.find(({ place }) => place.address6 !== undefined);
  return { ipv4: ordered[0]?.network.id ?? null, ipv6: six?.network.id ?? null };
}

function priorityOf({ place }: Joined): number {
  return place.gatewayPriority ?? 0;
}

import { EngineError } from '../../base/errors.ts';
import type { NetworkJoin } from '../../engine.ts';
import type { WaysOut } from '../../native/protocol.ts';
import type { Connection, ContainersDependencies } from '../dependencies.ts';
import { findContainer, type Found, listContainers } from '../list.ts';
import { type ContainerRecord, encodeRecord } from '../record.ts';
import { addressesOf } from '../run.ts';
import { ensureDefault } from './default.ts';
import { choosePlace, type Membership, toEndpoint } from './endpoints.ts';
import { findNetwork } from './find.ts';
import { type HostNetwork, readHostNetwork } from './host.ts';
import { DEFAULT_NETWORK } from './kinds.ts';
import { bridgeFiles, modeOf, noBridge } from './plan.ts';
import { fixedNetworks } from './predefined.ts';
import { type LegacyLinks, resolveLinks } from './links.ts';
import { createNetworkRecords, type NetworkRecord } from './records.ts';
import { chooseWaysOut } from './ways-out.ts';

type Dependencies = Pick<ContainersDependencies, 'store' | 'connect'>;

/**
 * Lets a container join a network: at once when it runs, else when it starts.
 *
 * @throws `NETWORK_NOT_FOUND`, `CONTAINER_NOT_FOUND`, `NETWORK_CONFLICT` for a container or a network that joins nothing, `ADDRESS_IN_USE` and more
 */
export async function connectContainer(
  dependencies: Dependencies,
  networkName: string,
  containerName: string,
  join: NetworkJoin,
): Promise<void> {
  await alone(dependencies, async (stage) => {
    const found = await findContainer(stage.connection, containerName);
    const network = await chooseNetwork(stage, networkName);
    checkJoins(found);
    if (!stage.connection.probe.network?.bridge) throw noBridge(network.name, stage.connection.probe.network);
    const before = found.record.memberships ?? [];
    if (before.some(({ id }) => id === network.id)) throw already(found, network);
    const interfaces = before.map((one) => one.interface);
    const place = choosePlace(network, join, { taken: stage.taken, interfaces });
    const after = [...before, place];
    const { id } = found.state;
    const endpoint = toEndpoint(network, place, {
      container: { id, name: found.record.name, hostname: found.record.hostname },
      mtu: stage.host.mtu,
      waysOut: waysOutOf(stage, after, network),
    });
    // The address is ours from here on. Where the network cannot be joined after all, the record is what it was.
    await keep(stage, found, after);
    try {
      await stage.connection.helper.call('network', { act: 'connect', container: id, endpoint });
    } catch (error) {
      // What went wrong first is what is told.
      await keep(stage, found, before).catch(() => undefined);
      throw error;
    }
  });
}

/**
 * Takes a container off a network.
 *
 * @throws `NETWORK_NOT_FOUND`, `CONTAINER_NOT_FOUND`, `NETWORK_CONFLICT` when it is not on it
 */
export async function disconnectContainer(
  dependencies: Dependencies,
  networkName: string,
  containerName: string,
): Promise<void> {
  await alone(dependencies, async (stage) => {
    const found = await findContainer(stage.connection, containerName);
    const network = await chooseNetwork(stage, networkName);
    checkJoins(found);
    const before = found.record.memberships ?? [];
    const after = before.filter(({ id }) => id !== network.id);
    if (after.length === before.length) {
      throw new EngineError(
        'NETWORK_CONFLICT',
        `Cannot disconnect ${found.record.name}: container ${found.state.id} is not connected to network ${network.name}`,
        { hint: `berth inspect ${found.record.name} lists its networks` },
      );
    }
    await stage.connection.helper.call('network', {
      act: 'disconnect',
      container: found.state.id,
      network: network.id,
      waysOut: waysOutOf(stage, after),
    });
    await keep(stage, found, after);
  });
}

/** What both acts look at. */
interface Stage {
  readonly connection: Connection;
  readonly host: HostNetwork;
  readonly networks: readonly NetworkRecord[];
  readonly existing: readonly Found[];
  /** Addresses of all containers. */
  readonly taken: ReadonlySet<string>;
  readonly ensureDefault: () => Promise<NetworkRecord>;
  readonly fixed: ReturnType<typeof fixedNetworks>;
}

/** Runs `act` while nobody else chooses addresses or changes containers. */
async function alone({ store, connect }: Dependencies, act: (stage: Stage) => Promise<void>): Promise<void> {
  const connection = await connect();
  await store.locks.with('containers', 'exclusive', async () => {
    const records = createNetworkRecords(store.root);
    const host = readHostNetwork();
    const [networks, existing] = await Promise.all([records.list(), listContainers(connection)]);
    const addresses = addressesOf(existing);
    await act({
      connection,
      host,
      networks,
      existing,
      taken: new Set(addresses),
      ensureDefault: async () => await ensureDefault(records, { host, networks, addresses }),
      fixed: fixedNetworks(store.root),
    });
  });
}

async function chooseNetwork(stage: Stage, nameOrId: string): Promise<NetworkRecord> {
  const fixed = stage.fixed.find(({ id, name }) => name === nameOrId || id === nameOrId);
  if (fixed?.name === 'host')
    throw conflict('container cannot be disconnected from host network or connected to host network');
  if (fixed) throw conflict(NONE_IS_ALONE);
  if (nameOrId === DEFAULT_NETWORK || nameOrId === 'default') return await stage.ensureDefault();
  return findNetwork(stage.networks, nameOrId);
}

const NONE_IS_ALONE =
  'container cannot be connected to multiple networks with one of the networks in private (none) mode';

function checkJoins({ record }: Found): void {
  const { kind } = modeOf(record.spec);
  if (kind === 'host' || kind === 'container') {
    throw conflict(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  }
  if (kind === 'none' || kind === 'private') throw conflict(NONE_IS_ALONE);
}

function conflict(why: string): EngineError {
  return new EngineError('NETWORK_CONFLICT', `Cannot change the networks of the container: ${why}`);
}

function already({ record }: Found, network: NetworkRecord): EngineError {
  return new EngineError(
    'NETWORK_CONFLICT',
    `Cannot connect ${record.name}: endpoint with name ${record.name} already exists in network ${network.name}`,
    { hint: `berth network disconnect ${network.name} ${record.name} takes it off` },
  );
}

/** Over which networks a container leads out; `more` may have been made just now. */
function waysOutOf({ networks }: Stage, memberships: readonly Membership[], more?: NetworkRecord): WaysOut {
  const known = more ? [more, ...networks] : networks;
  return chooseWaysOut(
    memberships.flatMap((place) => {
      const network = known.find(({ id }) => id === place.id);
      return network ? [{ place, network }] : [];
    }),
  );
}

/** Writes down on which networks a container is, and tells its own files of them. */
async function keep(
  { connection, networks, host, existing }: Stage,
  { state, record: { address: _address, ...record } }: Found,
  memberships: readonly Membership[],
): Promise<void> {
  const [first] = memberships;
  const known = memberships.flatMap((place) => {
    const network = networks.find(({ id }) => id === place.id);
    return network ? [{ place, network }] : [];
  });
  const files = await bridgeFiles(record.spec, {
    hostname: record.hostname,
    networks: known.map(({ network }) => network),
    places: known.map(({ place }) => place),
    host: host.resolvers,
    links: linksOf(record, memberships, existing),
  });
  const next: ContainerRecord = { ...record, ...(first ? { address: first.address } : {}), memberships };
  await connection.helper.call('update', {
    container: state.id,
    resources: null,
    restart: null,
    record: encodeRecord(next),
    attributes: null,
    files,
    event: null,
  });
}

/** The lines of links stay, unless the container that they name has gone. */
function linksOf(
  { name, spec }: Pick<ContainerRecord, 'name' | 'spec'>,
  memberships: readonly Membership[],
  existing: readonly Found[],
): LegacyLinks | undefined {
  if (!memberships.some((one) => one.name === DEFAULT_NETWORK)) return undefined;
  const there = (spec.links ?? []).filter(({ container }) =>
    existing.some(
      ({ state, record }) => record.name === container.replace(/^\//, '') || state.id.startsWith(container),
    ),
  );
  return resolveLinks(there, name, existing);
}

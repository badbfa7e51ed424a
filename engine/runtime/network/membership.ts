import { EngineError } from '../../base/errors.ts';
import type { NetworkJoin } from '../../engine.ts';
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
import { createNetworkRecords, type NetworkRecord } from './records.ts';

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
  { address, aliases }: NetworkJoin,
): Promise<void> {
  await alone(dependencies, async (stage) => {
    const found = await findContainer(stage.connection, containerName);
    const network = await chooseNetwork(stage, networkName);
    checkJoins(found);
    if (!stage.connection.probe.network?.bridge) throw noBridge(network.name, stage.connection.probe.network);
    const before = found.record.memberships ?? [];
    if (before.some(({ id }) => id === network.id)) throw already(found, network);
    const place = choosePlace(network, { address, aliases }, { taken: stage.taken, interface: freeInterface(before) });
    const after = [...before, place];
    const { id } = found.state;
    const endpoint = toEndpoint(network, place, {
      container: { id, name: found.record.name, hostname: found.record.hostname },
      mtu: stage.host.mtu,
      defaultRoute: !network.internal && !before.some((one) => leadsOut(stage, one)),
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
    });
    await keep(stage, found, after);
  });
}

/** What both acts look at. */
interface Stage {
  readonly connection: Connection;
  readonly host: HostNetwork;
  readonly networks: readonly NetworkRecord[];
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
    const [host, networks, existing] = await Promise.all([
      readHostNetwork(),
      records.list(),
      listContainers(connection),
    ]);
    const addresses = addressesOf(existing);
    await act({
      connection,
      host,
      networks,
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

/** The first of `eth0`, `eth1` … that no other network of the container has. */
function freeInterface(memberships: readonly Membership[]): string {
  const names = new Set(memberships.map((one) => one.interface));
  let number = 0;
  while (names.has(`eth${number}`)) number += 1;
  return `eth${number}`;
}

function leadsOut({ networks }: Stage, { id }: Membership): boolean {
  return networks.some((network) => network.id === id && !network.internal);
}

/** Writes down on which networks a container is, and tells its own files of them. */
async function keep(
  { connection, networks, host }: Stage,
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

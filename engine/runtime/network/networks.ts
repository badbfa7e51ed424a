import { EngineError } from '../../base/errors.ts';
import type { Events, NetworkCreate, NetworkRange, Networks, NetworkSummary } from '../../engine.ts';
import type { Connection, ContainersDependencies } from '../dependencies.ts';
import { listContainers, type Found } from '../list.ts';
import { bridgeName, ensureDefault, newRecord, takenSubnets, takenSubnets6, type Surroundings } from './default.ts';
import { FOUR, SIX } from './family.ts';
import { findNetwork } from './find.ts';
import { type HostNetwork, readHostNetwork, readRoutes6 } from './host.ts';
import { inspectNetwork, ONLINE } from './inspect.ts';
import { DEFAULT_NETWORK } from './kinds.ts';
import { connectContainer, disconnectContainer } from './membership.ts';
import { readOptions } from './options.ts';
import { noBridge } from './plan.ts';
import { invalid, settleRange } from './range.ts';
import { createNetworkRecords, type NetworkRecord, type NetworkRecords } from './records.ts';
import { fixedNetworks, isPredefined } from './predefined.ts';

type Dependencies = Pick<ContainersDependencies, 'store' | 'connect' | 'connectToLook'> & Pick<Events, 'announce'>;

/** {@link Networks} on records of the store; bridges come and go with the containers on them. */
export function createNetworks({ store, connect, connectToLook, announce }: Dependencies): Networks {
  const records = createNetworkRecords(store.root);
  const alone = async <T>(act: () => Promise<T>): Promise<T> => await store.locks.with('containers', 'exclusive', act);
  const tell = async (action: string, { id, name }: Pick<NetworkRecord, 'id' | 'name'>): Promise<void> =>
    await announce({ kind: 'network', action, id, attributes: { name, type: 'bridge' } });
  const look = async (): Promise<Look> => await lookAround(records, await connectToLook());
  const all = async (): Promise<readonly NetworkSummary[]> => {
    const { networks, existing } = await alone(async () => await withDefault(records, await look()));
    const own = networks.map((record) => toSummary(record, existing));
    return [...own, ...fixedNetworks(store.root)].sort((a, b) => (a.name < b.name ? -1 : 1));
  };
  return {
    list: all,
    create: async (request) => {
      const { probe } = await connect();
      if (!probe.network?.bridge) throw noBridge(request.name, probe.network);
      const id = await alone(async () => await createNetwork(records, await look(), request));
      await tell('create', { id, name: request.name });
      return id;
    },
    inspect: async (nameOrId) => {
      const fixed = fixedNetworks(store.root).find(({ id, name }) => name === nameOrId || id === nameOrId);
      const { networks, existing } = await withDefault(records, await look());
      return fixed
        ? inspectNetwork(fixed, existing)
        : inspectNetwork(toSummary(findNetwork(networks, nameOrId), existing), existing);
    },
    connect: async (network, container, join = {}) =>
      await connectContainer({ store, connect }, network, container, join),
    disconnect: async (network, container) => await disconnectContainer({ store, connect }, network, container),
    remove: async (nameOrId) =>
      await alone(async () => {
        const found = await withDefault(records, await look());
        const name = fixedNetworks(store.root).find(({ id }) => id === nameOrId)?.name ?? nameOrId;
        if (isPredefined(name)) throw predefined(name, 'removed');
        const network = findNetwork(found.networks, nameOrId);
        if (isPredefined(network.name)) throw predefined(network.name, 'removed');
        checkUnused(network, found.existing);
        await removeNetwork(await connect(), records, network);
        await tell('destroy', network);
        return network.name;
      }),
    prune: async ({ keep = () => false } = {}) =>
      await alone(async () => {
        const { networks, existing } = await look();
        const unused = networks.filter(
          (network) =>
            !isPredefined(network.name) &&
            activeOn(network.id, existing).length === 0 &&
            !keep(toSummary(network, existing)),
        );
        for (const network of unused) {
          await removeNetwork(await connect(), records, network);
          await tell('destroy', network);
        }
        return unused.map(({ name }) => name);
      }),
  };
}

interface Look extends Surroundings {
  readonly host: HostNetwork;
  readonly networks: readonly NetworkRecord[];
  readonly existing: readonly Found[];
}

async function lookAround(records: NetworkRecords, connection: Connection): Promise<Look> {
  const host = readHostNetwork();
  const [networks, existing] = await Promise.all([records.list(), listContainers(connection)]);
  const addresses = existing.flatMap(({ record }) => (record.memberships ?? []).map(({ address }) => address));
  return { host, networks, existing, addresses };
}

/** The default network is there from the first look on, as Docker's is. */
async function withDefault(records: NetworkRecords, look: Look): Promise<Look> {
  if (look.networks.some(({ name }) => name === DEFAULT_NETWORK)) return look;
  return { ...look, networks: [...look.networks, await ensureDefault(records, look)] };
}

async function createNetwork(records: NetworkRecords, look: Look, request: NetworkCreate): Promise<string> {
  checkRequest(look, request);
  const { name, internal = false, ipv6 = false, attachable = false, labels = {}, options = {} } = request;
  const range = settleRange(FOUR, request, takenSubnets(look));
  const traits = readOptions(options, { internal, ipv6 });
  checkBridge(look, traits);
  const record = newRecord(name, range, {
    internal,
    attachable,
    labels,
    options,
    ...traits,
    ...(ipv6 ? { ipv6: await settleSix(look, request) } : {}),
  });
  await records.put(record);
  return record.id;
}

async function settleSix(look: Look, request: NetworkCreate): Promise<NetworkRange> {
  const routes = readRoutes6();
  if (routes) return settleRange(SIX, request, takenSubnets6(look, routes));
  throw invalid('--ipv6', 'this kernel has no IPv6', 'load the module ipv6, or start without ipv6.disable=1');
}

function checkRequest({ networks }: Look, request: NetworkCreate): void {
  const { name, ipv6 = false } = request;
  if (isPredefined(name) || name === 'default' || name === 'private' || name.startsWith('container:')) {
    throw invalid(`name ${name}`, `operation is not permitted on predefined ${name} network`);
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw invalid(`name (${name})`, 'only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed');
  }
  if (networks.some((other) => other.name === name)) {
    throw new EngineError('NETWORK_EXISTS', `Cannot create network ${name}: network with name ${name} already exists`, {
      hint: `berth network rm ${name}, or choose another name`,
    });
  }
  const six = ipv6 ? undefined : firstOfIpv6(request);
  if (six) throw invalid(six, 'it is of IPv6, and the network has none', 'berth network create --ipv6');
}

function firstOfIpv6({ subnets, gateways, ipRanges, reserved }: NetworkCreate): string | undefined {
  const auxiliary = reserved?.map(([, address]) => address);
  const given = { '--subnet': subnets, '--gateway': gateways, '--ip-range': ipRanges, '--aux-address': auxiliary };
  for (const [flag, texts = []] of Object.entries(given)) {
    const text = texts.find(SIX.is);
    if (text !== undefined) return `${flag} ${text}`;
  }
  return undefined;
}

function checkBridge({ networks }: Look, { bridge }: Pick<NetworkRecord, 'bridge'>): void {
  const other = networks.find((one) => bridge !== undefined && bridgeName(one) === bridge);
  if (!other) return;
  throw new EngineError(
    'NETWORK_EXISTS',
    `Cannot name the bridge ${bridge ?? ''}: conflicts with network ${other.name}: networks have same bridge name`,
    { hint: 'choose another com.docker.network.bridge.name' },
  );
}

function checkUnused(network: NetworkRecord, existing: readonly Found[]): void {
  const active = activeOn(network.id, existing);
  if (active.length === 0) return;
  const names = active.map(({ state, record }) => `name:"${record.name}" id:"${state.id.slice(0, 12)}"`).join(', ');
  throw new EngineError(
    'NETWORK_IN_USE',
    `Cannot remove network ${network.name}: network ${network.name} has active endpoints (${names})`,
    { hint: `berth rm -f ${active.map(({ record }) => record.name).join(' ')}` },
  );
}

/** As with Docker, a container that has ended does not keep its network. */
function activeOn(id: string, existing: readonly Found[]): readonly Found[] {
  return existing.filter(
    ({ state, record }) => ONLINE.has(state.status) && record.memberships?.some((membership) => membership.id === id),
  );
}

async function removeNetwork({ helper }: Connection, records: NetworkRecords, { id }: NetworkRecord): Promise<void> {
  await helper.call('network', { act: 'sweep' });
  await records.remove(id);
}

function toSummary(record: NetworkRecord, existing: readonly Found[]): NetworkSummary {
  const users = activeOn(record.id, existing).length;
  return { ...record, driver: 'bridge', predefined: isPredefined(record.name), users };
}

function predefined(name: string, what: string): EngineError {
  return new EngineError(
    'NETWORK_PREDEFINED',
    `Cannot remove network ${name}: ${name} is a pre-defined network and cannot be ${what}`,
  );
}

import { EngineError } from '../../base/errors.ts';
import type { Events, NetworkCreate, Networks, NetworkSummary } from '../../engine.ts';
import type { Connection, ContainersDependencies } from '../dependencies.ts';
import { listContainers, type Found } from '../list.ts';
import { ensureDefault, newRecord, takenSubnets, type Surroundings } from './default.ts';
import { findNetwork } from './find.ts';
import { type HostNetwork, readHostNetwork } from './host.ts';
import { contains, formatAddress, formatSubnet, overlaps, parseSubnet, type Subnet } from './ipv4.ts';
import { inspectNetwork, ONLINE } from './inspect.ts';
import { DEFAULT_NETWORK } from './kinds.ts';
import { connectContainer, disconnectContainer } from './membership.ts';
import { noBridge } from './plan.ts';
import { chooseSubnet, isHostAddress } from './pool.ts';
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
  const [host, networks, existing] = await Promise.all([readHostNetwork(), records.list(), listContainers(connection)]);
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
  const taken = takenSubnets(look);
  const subnet = request.subnet === undefined ? chooseSubnet(taken) : givenSubnet(request.subnet, taken);
  const { name, internal = false, attachable = false, labels = {}, options = {} } = request;
  const gateway = request.gateway ?? formatAddress(subnet.base + 1);
  if (!isHostAddress(subnet, gateway)) {
    throw invalid(`--gateway ${gateway}`, `no matching subnet: ${formatSubnet(subnet)} does not hold it`);
  }
  const range = request.ipRange === undefined ? undefined : givenRange(request.ipRange, subnet);
  const record = newRecord(name, subnet, {
    gateway,
    internal,
    attachable,
    labels,
    options,
    ...(request.subnet !== undefined && request.gateway === undefined ? { ownGateway: true } : {}),
    ...(range ? { ipRange: formatSubnet(range) } : {}),
    ...reservedOf(request, subnet),
    ...mtuOf(options),
  });
  await records.put(record);
  return record.id;
}

function checkRequest({ networks }: Look, { name, subnet, gateway, ipRange, reserved }: NetworkCreate): void {
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
  if (subnet !== undefined) return;
  const given = Object.entries({ '--gateway': gateway, '--ip-range': ipRange, '--aux-address': firstOf(reserved) });
  const flag = given.find(([, value]) => value !== undefined)?.[0];
  if (flag !== undefined)
    throw invalid(flag, 'every ip-range, gateway or aux-address must have a corresponding subnet');
}

function givenSubnet(text: string, taken: readonly Subnet[]): Subnet {
  const subnet = parseSubnet(text);
  if (!subnet || subnet.prefix < 1 || subnet.prefix > 29) {
    throw invalid(`--subnet ${text}`, 'it is no IPv4 subnet with room for containers, such as 10.9.8.0/24');
  }
  const other = taken.find((one) => overlaps(one, subnet));
  if (!other) return subnet;
  throw new EngineError(
    'NETWORK_OVERLAP',
    `Cannot create a network on ${text}: Pool overlaps with other one on this address space, ${formatSubnet(other)}`,
    { hint: 'choose another subnet, or leave --subnet out' },
  );
}

function givenRange(text: string, subnet: Subnet): Subnet {
  const range = parseSubnet(text);
  if (range && range.prefix >= subnet.prefix && contains(subnet, range.base)) return range;
  throw invalid(`--ip-range ${text}`, `it is no part of ${formatSubnet(subnet)}`);
}

function firstOf(reserved: NetworkCreate['reserved']): string | undefined {
  return Object.values(reserved ?? {})[0];
}

/** Addresses of `--aux-address`, which the subnet must hold. */
function reservedOf({ reserved = {} }: NetworkCreate, subnet: Subnet): Pick<NetworkRecord, 'reserved'> {
  for (const [name, address] of Object.entries(reserved)) {
    if (!isHostAddress(subnet, address)) {
      throw invalid(`--aux-address ${name}=${address}`, `no matching subnet: ${formatSubnet(subnet)} does not hold it`);
    }
  }
  return Object.keys(reserved).length > 0 ? { reserved } : {};
}

const MTU_OPTION = 'com.docker.network.driver.mtu';

function mtuOf(options: Readonly<Record<string, string>>): Pick<NetworkRecord, 'mtu'> {
  const unknown = Object.keys(options).find((name) => name !== MTU_OPTION);
  if (unknown !== undefined) throw invalid(`--opt ${unknown}`, `not supported yet; ${MTU_OPTION} is`);
  const text = options[MTU_OPTION];
  if (text === undefined) return {};
  if (!/^\d{1,5}$/.test(text) || Number(text) < 68 || Number(text) > 65_535) {
    throw invalid(`--opt ${MTU_OPTION}=${text}`, 'a packet has 68 to 65535 bytes');
  }
  return { mtu: Number(text) };
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

function invalid(what: string, why: string): EngineError {
  return new EngineError('NETWORK_INVALID', `Cannot use ${what} for a network: ${why}`);
}

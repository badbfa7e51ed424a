import { isEngineError } from '../../base/errors.ts';
import type { ActOptions } from '../../base/progress.ts';
import type { StepNetworkChoice } from '../../engine.ts';
import type { IdMap, Network, NetworkProbe } from '../../native/protocol.ts';
import { freeAddress } from '../address.ts';
import type { Connection, ContainersDependencies } from '../dependencies.ts';
import { listContainers } from '../list.ts';
import { addressesOf } from '../run.ts';
import { ensureDefault, settledDefault } from './default.ts';
import { toBridgeNetwork } from './endpoints.ts';
import { hasWayOut, hasWayOut6, type HostNetwork, readHostNetwork, type Resolvers } from './host.ts';
import { isPlain, reasonOf, throughResponder } from './plan.ts';
import { createNetworkRecords, type NetworkRecord } from './records.ts';
import { findPasta, hasTun, INSTALL_PASTA, type Pasta, TUN } from './way-out.ts';

/** What the networks of steps are made with. */
export type StepNetworksDependencies = Pick<ContainersDependencies, 'store'> & {
  readonly connection: Connection;
};

/** The network of a RUN, ready for the helper. */
export interface StepNetwork {
  readonly network: Network;
  /** Instead of this machine's resolvers. */
  readonly resolvers?: Resolvers | undefined;
  /** The address by which the step reaches this machine; undefined where it does not. */
  readonly gateway?: string | undefined;
  /** Why it is this machine's own, where nobody asked for that. */
  readonly fallback?: string | undefined;
}

/** The networks of the steps of one build. */
export interface StepNetworks {
  /**
   * That of a RUN. The default is a namespace of its own with a way out; where this machine has none to give, its own network (DESIGN.md 4 "Network").
   */
  readonly of: (asked: 'none' | 'host' | undefined, options?: ActOptions) => Promise<StepNetwork>;
  /** Gives back what the steps shared. */
  readonly close: () => Promise<void>;
}

/** {@link StepNetworks} that look at the machine for each step that asks: what is found may change while a build runs. */
export function createStepNetworks(dependencies: StepNetworksDependencies): StepNetworks {
  const { helper } = dependencies.connection;
  let stands = false;
  return {
    of: async (asked, options = {}) => {
      if (asked !== undefined) return { network: { mode: asked }, ...(asked === 'host' ? { gateway: LOOPBACK } : {}) };
      const found = await findOwn(dependencies, options);
      stands ||= found.network.mode === 'step';
      return found;
    },
    close: async () => {
      if (stands) await helper.call('network', { act: 'retire' });
    },
  };
}

const LOOPBACK = '127.0.0.1';

async function findOwn(dependencies: StepNetworksDependencies, options: ActOptions): Promise<StepNetwork> {
  const { helper, probe } = dependencies.connection;
  const host = readHostNetwork();
  const choice = await chooseStepNetwork(helper.idMap, probe.network, await lookAround(helper.idMap, host));
  if (choice.kind === 'host') return onHost(choice.reason);
  const resolvers = throughResponder(host.resolvers);
  const dns = { upstreams: host.resolvers.nameservers.filter(isPlain) };
  if (choice.kind === 'pasta') {
    const wayOut = { pasta: choice.program, dns };
    return { network: { mode: 'private', address: freeAddress(new Set()), ports: [], wayOut }, resolvers };
  }
  const found = await defaultNetwork(dependencies, host, options);
  if ('reason' in found) return onHost(found.reason);
  const network = toBridgeNetwork(found.record, host.mtu);
  return { network: { mode: 'step', network, dns }, resolvers, gateway: found.record.gateway };
}

function onHost(reason: string): StepNetwork {
  return { network: { mode: 'host' }, gateway: LOOPBACK, fallback: `RUN has the network of this machine: ${reason}` };
}

/** What the machine has, as far as it decides. */
export interface StepSurroundings {
  readonly pasta: Pasta | undefined;
  /** The device that `pasta` needs can be opened. */
  readonly hasTun: boolean;
  /** Default routes of IPv4 and of IPv6. */
  readonly waysOut: readonly [four: boolean, six: boolean];
  readonly nameservers: readonly string[];
}

/** Chooses by the rung and by what is there. */
export async function chooseStepNetwork(
  idMap: IdMap,
  probe: NetworkProbe | undefined,
  around?: StepSurroundings,
): Promise<StepNetworkChoice> {
  const found = around ?? (await lookAround(idMap, readHostNetwork()));
  const reason = obstacle(probe, found);
  if (reason !== undefined) return { kind: 'host', reason };
  const { pasta } = found;
  return pasta?.program === undefined ? { kind: 'bridge' } : { kind: 'pasta', program: pasta.program };
}

async function lookAround(idMap: IdMap, { resolvers: { nameservers } }: HostNetwork): Promise<StepSurroundings> {
  return { pasta: await findPasta(idMap), hasTun: hasTun(), waysOut: [hasWayOut(), hasWayOut6()], nameservers };
}

function obstacle(
  probe: NetworkProbe | undefined,
  { pasta, hasTun: isOpen, waysOut: [four, six], nameservers }: StepSurroundings,
): string | undefined {
  if (!pasta && !probe?.bridge) return reasonOf(probe);
  if (pasta && pasta.program === undefined) return `another one would have no way out; ${INSTALL_PASTA}`;
  if (pasta && !isOpen) return `pasta needs ${TUN}: modprobe tun makes it, chmod 666 ${TUN} lets users open it`;
  // The default network is one of IPv4.
  if (!pasta && six && !four) return 'it reaches others by IPv6 alone';
  const isFar = nameservers.length > 0 && !nameservers.some(isPlain);
  return isFar ? `its resolver ${nameservers[0]} is that of one link` : undefined;
}

/** The network that containers without a wish are on, or why no step can be on it. */
async function defaultNetwork(
  { store, connection }: StepNetworksDependencies,
  host: HostNetwork,
  options: ActOptions,
): Promise<{ readonly record: NetworkRecord } | { readonly reason: string }> {
  const records = createNetworkRecords(store.root);
  const settled = settledDefault({ host, networks: await records.list() });
  if (settled) return { record: settled };
  try {
    // Nobody else makes or moves it meanwhile.
    return await store.locks.with(
      'containers',
      'exclusive',
      async () => {
        const addresses = addressesOf(await listContainers(connection));
        const around = { host: readHostNetwork(), networks: await records.list(), addresses };
        const record = await ensureDefault(records, around);
        if (settledDefault({ ...around, networks: await records.list() })) return { record };
        return { reason: `${record.subnet}, where containers are, is another network's too` };
      },
      options,
    );
  } catch (error) {
    if (isEngineError(error, 'NETWORK_POOL_EMPTY')) return { reason: 'it has ways to all subnets of another one' };
    throw error;
  }
}

import { accessSync, constants } from 'node:fs';
import { once } from '../../base/once.ts';
import type { StepNetworkChoice } from '../../engine.ts';
import type { IdMap, Network, NetworkProbe } from '../../native/protocol.ts';
import { freeAddress } from '../address.ts';
import type { Connection, ContainersDependencies } from '../dependencies.ts';
import { listContainers } from '../list.ts';
import { addressesOf } from '../run.ts';
import { ensureDefault } from './default.ts';
import { toBridgeNetwork } from './endpoints.ts';
import { hasWayOut, hasWayOut6, readHostNetwork, type Resolvers } from './host.ts';
import { isPlain, reasonOf, throughResponder } from './plan.ts';
import { createNetworkRecords, type NetworkRecord } from './records.ts';
import { findPasta, INSTALL_PASTA, type Pasta } from './way-out.ts';

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
   *
   * @throws `NETWORK_POOL_EMPTY`
   */
  readonly of: (asked: 'none' | 'host' | undefined) => Promise<StepNetwork>;
  /** Gives back what the steps shared. */
  readonly close: () => Promise<void>;
}

/** {@link StepNetworks} that look at the machine when the first step asks. */
export function createStepNetworks(dependencies: StepNetworksDependencies): StepNetworks {
  const { helper } = dependencies.connection;
  let stands = false;
  const own = once(async () => {
    const found = await findOwn(dependencies);
    stands = found.network.mode === 'step';
    return found;
  });
  return {
    of: async (asked) => {
      if (asked === undefined) return await own();
      return { network: { mode: asked }, ...(asked === 'host' ? { gateway: LOOPBACK } : {}) };
    },
    close: async () => {
      if (stands) await helper.call('network', { act: 'retire' });
    },
  };
}

const LOOPBACK = '127.0.0.1';
/** What `pasta` makes its devices of. */
const TUN = '/dev/net/tun';

async function findOwn(dependencies: StepNetworksDependencies): Promise<StepNetwork> {
  const { helper, probe } = dependencies.connection;
  const choice = await chooseStepNetwork(helper.idMap, probe.network);
  if (choice.kind === 'host') return { network: { mode: 'host' }, gateway: LOOPBACK, fallback: fallbackOf(choice) };
  const { mtu, resolvers: host } = readHostNetwork();
  const resolvers = throughResponder(host);
  const dns = { upstreams: host.nameservers.filter(isPlain) };
  if (choice.kind === 'pasta') {
    const wayOut = { pasta: choice.program, dns };
    return { network: { mode: 'private', address: freeAddress(new Set()), ports: [], wayOut }, resolvers };
  }
  const record = await defaultNetwork(dependencies);
  return { network: { mode: 'step', network: toBridgeNetwork(record, mtu), dns }, resolvers, gateway: record.gateway };
}

/** Chooses by the rung and by what is there. */
export async function chooseStepNetwork(idMap: IdMap, probe: NetworkProbe | undefined): Promise<StepNetworkChoice> {
  const pasta = await findPasta(idMap);
  const reason = obstacle(probe, pasta);
  if (reason !== undefined) return { kind: 'host', reason };
  return pasta?.program === undefined ? { kind: 'bridge' } : { kind: 'pasta', program: pasta.program };
}

function obstacle(probe: NetworkProbe | undefined, pasta: Pasta | undefined): string | undefined {
  if (!pasta && !probe?.bridge) return reasonOf(probe);
  // The default network is one of IPv4.
  if (!pasta) return hasWayOut() || !hasWayOut6() ? undefined : 'it reaches others by IPv6 alone';
  if (pasta.program === undefined) return `another one would have no way out; ${INSTALL_PASTA}`;
  return opens(TUN) ? undefined : `pasta needs ${TUN}: modprobe tun makes it, chmod 666 ${TUN} lets users open it`;
}

function fallbackOf({ reason }: { readonly reason: string }): string {
  return `RUN has the network of this machine: ${reason}`;
}

/** The network that containers without a wish are on. Nobody else makes or moves it meanwhile. */
async function defaultNetwork({ store, connection }: StepNetworksDependencies): Promise<NetworkRecord> {
  return await store.locks.with('containers', 'exclusive', async () => {
    const records = createNetworkRecords(store.root);
    const [networks, existing] = await Promise.all([records.list(), listContainers(connection)]);
    return await ensureDefault(records, { host: readHostNetwork(), networks, addresses: addressesOf(existing) });
  });
}

function opens(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { EngineError } from '../base/errors.ts';
import type { RunSpec } from '../engine.ts';
import type { BoundFile, StartArgs } from '../native/protocol.ts';
import type { Helper } from '../native/types.ts';
import { createReadAccounts } from './accounts.ts';
import { networkFiles } from './bound-files.ts';
import { readHostFacts } from './host.ts';
import type { StepNetwork, StepNetworks } from './network/steps.ts';
import { BUILD_PROFILE, MASKED_PATHS, type Profile } from './profile.ts';
import { toRlimits } from './rlimits.ts';
import { createSpec, type MachineProbe } from './spec.ts';
import { lookupUser } from './user.ts';

/** What RUN specs are made with. */
export interface BuildSpecDependencies {
  readonly helper: Helper;
  readonly probe: MachineProbe;
  readonly networks: Pick<StepNetworks, 'of'>;
  /** hostPath of a PEM bundle to lend to RUN, in no key, config or layer. */
  readonly caFile?: string | undefined;
  /** What the log of the first step says of this machine. */
  readonly note?: string | undefined;
}

/** A RUN, as the graph's exec operation has it. */
export interface BuildStep {
  readonly args: readonly string[];
  /** ENV and the ARGs in scope, in order, `NAME=value`. */
  readonly env: readonly string[];
  readonly cwd: string;
  /** Name or number, with an optional group; empty is 0:0. */
  readonly user: string;
  /** Proxy variables: given to the process, in no key. */
  readonly proxyEnv: readonly string[];
  /** Undefined: the default, one of its own with a way out where the machine can give one. */
  readonly network?: 'none' | 'host' | undefined;
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[] | undefined;
  readonly ulimits?: RunSpec['ulimits'];
  /** Default: BuildKit's name. */
  readonly hostname?: string | undefined;
}

/** Makes what `start` needs for a RUN, but for its root file system. */
export type BuildSpec = (
  op: BuildStep,
  /** Snapshots of the state below, topmost first: users and groups are looked up in them. */
  snapshots: readonly string[],
  options?: {
    readonly signal?: AbortSignal | undefined;
    /** Hears what the user should know of the step, a line without its end. */
    readonly onNote?: ((line: string) => void) | undefined;
  },
) => Promise<Omit<StartArgs, 'rootfs'>>;

/** BuildKit's name for the machine in a RUN: part of what steps see, so it stays the same everywhere. */
const HOSTNAME = 'buildkitsandbox';
const LOOPBACK = '127.0.0.1';
/** Where a lent bundle is bound, beside the system's own. */
const CA_PATH = '/run/berth/ca.pem';
/** Variables by which OpenSSL, Python's requests, pip, curl, git, Node and the AWS tools find a bundle. */
const CA_VARIABLES = [
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'PIP_CERT',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'NODE_EXTRA_CA_CERTS',
  'AWS_CA_BUNDLE',
];

/** On the host's network raw sockets would hear what the interfaces of the host do. */
const ON_HOST: Profile = {
  ...BUILD_PROFILE,
  capabilities: BUILD_PROFILE.capabilities.filter((name) => name !== 'CAP_NET_RAW'),
};

/**
 * RUN as a container of profile `build`, attached, kept nowhere after its end; on a network of its own with a way out, unless the step or the machine
 * wants it otherwise.
 *
 * @throws `USER_NOT_FOUND`, `INVALID_USER`, `NETWORK_INVALID` for `host-gateway` on a network from which the host is out of reach
 */
export function createBuildSpec({ helper, probe, networks, caFile, note }: BuildSpecDependencies): BuildSpec {
  const accountsOf = createReadAccounts(helper, { remember: true });
  const said = new Set<string>();
  return async (op, snapshots, options = {}) => {
    const { hostname = HOSTNAME } = op;
    const [accounts, ca, net] = await Promise.all([
      accountsOf(snapshots, options),
      lentBundle(caFile),
      networks.of(op.network, options),
    ]);
    const isHost = net.network.mode === 'host';
    const lines = [...(note === undefined ? [] : [note]), ...notes(op, net)];
    for (const line of lines.filter((one) => !said.has(one))) {
      said.add(line);
      options.onNote?.(line);
    }
    const host = readHostFacts(MASKED_PATHS);
    const files = networkFiles({
      hostname,
      host: isHost,
      resolvers: net.resolvers,
      extraHosts: [...(isHost ? [{ name: hostname, address: LOOPBACK }] : []), ...extraHostsOf(op, net)],
    });
    const config = createSpec(
      isHost ? ON_HOST : BUILD_PROFILE,
      {
        args: op.args,
        // What the user sets wins over what we lend.
        env: [ca.env, op.proxyEnv, op.env],
        cwd: op.cwd,
        identity: lookupUser(op.user, accounts),
        hostname,
        network: isHost ? 'host' : 'own',
        rlimits: toRlimits(op.ulimits ?? []),
      },
      { idMap: helper.idMap, probe, host },
    );
    return {
      container: randomBytes(32).toString('hex'),
      config,
      detach: false,
      keep: false,
      stdin: false,
      log: false,
      network: net.network,
      files: [...files.filter(({ destination }) => destination !== '/etc/hostname'), ...ca.files],
      init: false,
      record: '',
      stopSignal: 'SIGKILL',
      owner: null,
    };
  };
}

/** What a log should say of a step's network. */
function notes({ proxyEnv, env, network: asked }: BuildStep, { fallback, network }: StepNetwork): readonly string[] {
  const isApart = network.mode !== 'host' && asked !== 'none';
  const proxy = isApart ? [...proxyEnv, ...env].find(leadsToLoopback) : undefined;
  const name = proxy?.slice(0, proxy.indexOf('='));
  return [
    ...(fallback === undefined ? [] : [fallback]),
    ...(name === undefined
      ? []
      : [
          `${name} names a proxy on this machine's loopback, which RUN does not reach from its own network: --network host`,
        ]),
  ];
}

/** Whether a variable names a proxy on the loopback of whoever reads it. */
function leadsToLoopback(variable: string): boolean {
  return /^(?:https?|ftp|all)_proxy=(?:\w+:\/\/)?(?:[^@/]*@)?(?:localhost|127(?:\.\d+){1,3}|0\.0\.0\.0|\[::1\])(?::|\/|$)/i.test(
    variable,
  );
}

/** A step that wants no network is not told of a host that it does not reach. */
function extraHostsOf(
  { extraHosts = [], network }: BuildStep,
  { gateway }: StepNetwork,
): NonNullable<BuildStep['extraHosts']> {
  return extraHosts.flatMap(({ name, address }) => {
    if (address !== 'host-gateway') return [{ name, address }];
    if (gateway !== undefined) return [{ name, address: gateway }];
    if (network === 'none') return [];
    throw new EngineError(
      'NETWORK_INVALID',
      `Cannot use --add-host ${name}:host-gateway: the host is out of reach of the network of this RUN`,
      { hint: 'use --network host, or leave it out' },
    );
  });
}

async function lentBundle(
  caFile: string | undefined,
): Promise<{ readonly files: readonly BoundFile[]; readonly env: readonly string[] }> {
  if (caFile === undefined) return { files: [], env: [] };
  const content = await readFile(caFile, 'utf8');
  return {
    files: [{ destination: CA_PATH, content, mode: 0o444 }],
    env: CA_VARIABLES.map((name) => `${name}=${CA_PATH}`),
  };
}

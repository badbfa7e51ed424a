import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { RunSpec } from '../engine.ts';
import type { BoundFile, StartArgs } from '../native/protocol.ts';
import type { Helper } from '../native/types.ts';
import { createReadAccounts } from './accounts.ts';
import { networkFiles } from './bound-files.ts';
import { readHostFacts } from './host.ts';
import { BUILD_PROFILE, MASKED_PATHS, type Profile } from './profile.ts';
import { toRlimits } from './rlimits.ts';
import { createSpec, type MachineProbe } from './spec.ts';
import { lookupUser } from './user.ts';

/** What RUN specs are made with. */
export interface BuildSpecDependencies {
  readonly helper: Helper;
  readonly probe: MachineProbe;
  /** hostPath of a PEM bundle to lend to RUN, in no key, config or layer. */
  readonly caFile?: string | undefined;
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
  /** Undefined: the default, which is the host's. */
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
  options?: { readonly signal?: AbortSignal | undefined },
) => Promise<Omit<StartArgs, 'rootfs'>>;

/** BuildKit's name for the machine in a RUN: part of what steps see, so it stays the same everywhere. */
const HOSTNAME = 'buildkitsandbox';
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
 * RUN as a container of profile `build`, on the host's network with the host's resolvers, attached, kept nowhere after its end.
 *
 * @throws `USER_NOT_FOUND`, `INVALID_USER`
 */
export function createBuildSpec({ helper, probe, caFile }: BuildSpecDependencies): BuildSpec {
  const accountsOf = createReadAccounts(helper, { remember: true });
  return async (op, snapshots, options = {}) => {
    const isAlone = op.network === 'none';
    const { hostname = HOSTNAME } = op;
    const [accounts, ca] = await Promise.all([accountsOf(snapshots, options), lentBundle(caFile)]);
    const host = readHostFacts(MASKED_PATHS);
    const files = networkFiles({
      hostname,
      host: !isAlone,
      extraHosts: [...(isAlone ? [] : [{ name: hostname, address: '127.0.0.1' }]), ...(op.extraHosts ?? [])],
    });
    const config = createSpec(
      isAlone ? BUILD_PROFILE : ON_HOST,
      {
        args: op.args,
        // What the user sets wins over what we lend.
        env: [ca.env, op.proxyEnv, op.env],
        cwd: op.cwd,
        identity: lookupUser(op.user, accounts),
        hostname,
        network: isAlone ? 'own' : 'host',
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
      network: { mode: isAlone ? 'none' : 'host' },
      files: [...files.filter(({ destination }) => destination !== '/etc/hostname'), ...ca.files],
      init: false,
      record: '',
      stopSignal: 'SIGKILL',
      owner: null,
    };
  };
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

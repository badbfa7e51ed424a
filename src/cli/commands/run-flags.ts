import type { RunSpec } from '../../../engine/index.ts';
import { choice, list, orNothing, patience, single, text, texts, toggle, type Values } from '../flags.ts';
import { UsageError } from '../usage-error.ts';
import { parseEnv, readEnvFile } from '../values/environment.ts';
import {
  parseExtraHost,
  parseIpv4,
  parseIpv6,
  parseLink,
  parseLinkLocal,
  parseMac,
  parseNetwork,
  parseResolver,
  parseSearchDomain,
  type NetworkFlag,
} from '../values/host.ts';
import { parseDetachKeys } from '../values/detach-keys.ts';
import { parseLabel, readLabelFile } from '../values/label.ts';
import { parseMount } from '../values/mount.ts';
import { parseExpose, parsePorts } from '../values/ports.ts';
import { parseRestart } from '../values/restart.ts';
import { parseSize } from '../values/size.ts';
import { parseUlimit } from '../values/ulimit.ts';
import { parseTmpfs, parseVolume, parseVolumesFrom } from '../values/volume.ts';
import { HEALTH_FLAGS, toHealth } from './health-flags.ts';
import { HOST_FLAGS, toHostOptions } from './host-flags.ts';
import { START_LIMIT_FLAGS, toLimits } from './limit-flags.ts';
import { parsePlatform } from '../values/platform.ts';
import { TRUST } from '../trust.ts';

/** Flags of `create` and `run`. */
export const CONTAINER_FLAGS = {
  ...HEALTH_FLAGS,
  ...HOST_FLAGS,
  ...START_LIMIT_FLAGS,
  addHost: list('--add-host HOST:IP', 'add a line to /etc/hosts', parseExtraHost),
  cgroupParent: text('--cgroup-parent PATH', 'cgroup that the container is put below'),
  capAdd: texts('--cap-add CAPABILITY', 'add a Linux capability'),
  capDrop: texts('--cap-drop CAPABILITY', 'drop a Linux capability'),
  cidfile: orNothing(text('--cidfile FILE', 'write the container id to a file that does not exist yet')),
  disableContentTrust: TRUST,
  dns: list('--dns ADDRESS', 'resolver to ask for names', parseResolver),
  dnsOption: texts('--dns-option OPTION', 'option of /etc/resolv.conf'),
  dnsOpt: texts('--dns-opt OPTION', 'older name of --dns-option'),
  dnsSearch: list('--dns-search DOMAIN', 'domain to look for short names in; . for none', parseSearchDomain),
  domainname: text('--domainname NAME', "the container's NIS domain name, in /etc/hosts"),
  entrypoint: text('--entrypoint COMMAND', "replace the image's ENTRYPOINT, and drop its CMD"),
  env: list('-e, --env NAME[=VALUE]', 'set an environment variable, or hand on your own', (word, { lookup }) =>
    parseEnv(word, lookup),
  ),
  envFile: list('--env-file FILE', 'read environment variables from a file', (word, { lookup }) =>
    readEnvFile(word, '--env-file', lookup),
  ),
  expose: list('--expose PORTS', "ports that -P publishes beside the image's: 8080[-8082][/udp]", parseExpose),
  groupAdd: texts('--group-add GROUP', 'add a supplementary group'),
  hostname: single('-h, --hostname NAME', "the container's host name", parseHostname),
  init: toggle('--init', 'run a small init that forwards signals and reaps processes'),
  ip: orNothing(single('--ip ADDRESS', 'IPv4 address on the first network', parseIpv4)),
  ip6: orNothing(single('--ip6 ADDRESS', 'IPv6 address on the first network', parseIpv6)),
  isolation: single('--isolation WORD', 'default: the rung is chosen by BERTH_ISOLATION', parseIsolation),
  interactive: toggle('-i, --interactive', 'keep standard input open'),
  labelFile: list('--label-file FILE', 'read labels from a file', (word) => readLabelFile(word)),
  label: list('-l, --label NAME=VALUE', 'set a label', parseLabel),
  link: list('--link CONTAINER[:ALIAS]', 'find another container by a name of its own', parseLink),
  linkLocalIp: list('--link-local-ip ADDRESS', 'further address, of 169.254.0.0/16 or fe80::/10', parseLinkLocal),
  macAddress: orNothing(
    single('--mac-address ADDRESS', 'address of the first interface, as 92:d0:c6:0a:29:33', parseMac),
  ),
  mount: list('--mount MOUNT', 'mount: type=bind,source=/host,target=/path[,readonly]', (word, { cwd }) =>
    parseMount(word, cwd),
  ),
  name: orNothing(text('--name NAME', 'name the container')),
  network: list('--network NETWORK', 'bridge, host, none, a network of yours, or private: no way out', parseNetwork),
  net: list('--net NETWORK', 'older name of --network', parseNetwork),
  networkAlias: texts('--network-alias NAME', 'further name of the container on its networks'),
  netAlias: texts('--net-alias NAME', 'older name of --network-alias'),
  platform: orNothing(single('--platform PLATFORM', 'os/architecture of the image', parsePlatform)),
  publish: list('-p, --publish PORTS', '[[ip:]hostPort:]containerPort[/protocol]', parsePorts),
  publishAll: toggle('-P, --publish-all', 'publish every exposed port on a free one'),
  pull: orNothing(choice('--pull WHEN', 'pull the image before running', ['always', 'missing', 'never'])),
  quiet: toggle('-q, --quiet', 'do not show the progress of a pull'),
  readonly: toggle('--read-only', 'make the root file system read-only'),
  restart: single('--restart POLICY', 'no, on-failure[:n], always or unless-stopped', parseRestart),
  rm: toggle('--rm', 'remove the container when it has ended'),
  shmSize: single('--shm-size SIZE', 'size of /dev/shm', parseSize),
  stopSignal: text('--stop-signal SIGNAL', 'signal that stops the container'),
  stopTimeout: patience('--stop-timeout SECONDS', 'seconds between that signal and SIGKILL; -1 without end'),
  tmpfs: list('--tmpfs PATH[:OPTIONS]', 'mount a tmpfs', parseTmpfs),
  tty: toggle('-t, --tty', 'allocate a terminal'),
  ulimit: list('--ulimit NAME=SOFT[:HARD]', 'set a limit', parseUlimit),
  user: text('-u, --user USER[:GROUP]', 'user name or id to run as'),
  volume: list(
    '-v, --volume MOUNT',
    'bind or mount a volume: /host:/path[:ro], name:/path[:ro], /path',
    (word, { cwd }) => parseVolume(word, cwd),
  ),
  volumeDriver: single('--volume-driver NAME', 'local: the one there is', parseVolumeDriver),
  volumesFrom: list('--volumes-from CONTAINER[:ro]', 'mount what another container has mounted', parseVolumesFrom),
  workdir: text('-w, --workdir PATH', 'working directory in the container'),
} as const;

/** `--attach` of `create` and `run`. */
export const ATTACH = list('-a, --attach STREAM', 'join STDIN, STDOUT or STDERR alone', parseStream);

/** Flags of `run`. */
export const RUN_FLAGS = {
  ...CONTAINER_FLAGS,
  attach: ATTACH,
  detach: toggle('-d, --detach', 'run in the background and print the container id'),
  detachKeys: orNothing(single('--detach-keys KEYS', 'keys that leave the container to itself', parseDetachKeys)),
  sigProxy: toggle('--sig-proxy', 'hand signals on to the process (default true)', true),
} as const;

/** Letters of a name that the kernel takes. */
const LONGEST_HOSTNAME = 64;

function parseHostname(word: string): string {
  if (Buffer.byteLength(word) <= LONGEST_HOSTNAME) return word;
  throw new UsageError(`invalid hostname: it has more than ${LONGEST_HOSTNAME} bytes`, 'give a shorter name');
}

/** A stream of `--attach`. */
export type StreamName = 'stdin' | 'stdout' | 'stderr';

/** Docker's words for other systems name nothing here. */
function parseIsolation(word: string): void {
  if (word === '' || word === 'default') return;
  throw new UsageError(`Cannot use --isolation ${word}: invalid isolation: it is of another system`, 'leave it out');
}

function parseVolumeDriver(word: string): void {
  if (word === '' || word === 'local') return;
  throw new UsageError(
    `Cannot use --volume-driver ${word}: there is no such driver`,
    'leave it out: volumes are kept below BERTH_ROOT/volumes',
  );
}

function parseStream(word: string): StreamName {
  const name = word.toLowerCase();
  if (name === 'stdin' || name === 'stdout' || name === 'stderr') return name;
  throw new UsageError('valid streams are STDIN, STDOUT and STDERR');
}

/** Docker's flags of `create` and `run` that are not done. */
export const REFUSED_RUN_FLAGS =
  'cpu-count cpu-percent cpu-rt-period cpu-rt-runtime io-maxbandwidth io-maxiops kernel-memory storage-opt use-api-socket'.split(
    ' ',
  );

/** What the engine is asked for. @throws {UsageError} for flags that exclude each other */
export function toRunSpec(values: Values<typeof CONTAINER_FLAGS>, image: string, command: readonly string[]): RunSpec {
  if (values.rm && values.restart && values.restart.policy !== 'no') {
    throw new UsageError('Conflicting options: cannot specify both --restart and --rm');
  }
  return {
    image,
    command,
    env: [...values.envFile.flat(), ...values.env],
    mounts: [...values.volume, ...values.mount, ...values.tmpfs],
    volumesFrom: values.volumesFrom,
    ports: values.publish.flat(),
    publishAll: values.publishAll,
    expose: values.expose.flat(),
    labels: Object.fromEntries([...values.labelFile.flat(), ...values.label]),
    rm: values.rm,
    ...toHostOptions(values),
    platform: values.platform,
    restart: values.restart,
    health: toHealth(values),
    limits: toLimits(values),
    interactive: values.interactive,
    init: values.init,
    readonly: values.readonly,
    capAdd: values.capAdd,
    cgroupParent: values.cgroupParent,
    capDrop: values.capDrop,
    ulimits: values.ulimit,
    groupAdd: values.groupAdd,
    extraHosts: values.addHost,
    pull: values.pull,
    name: values.name,
    ...toNetworks([...values.network, ...values.net], [...values.networkAlias, ...values.netAlias], values),
    links: values.link,
    dns: values.dns,
    dnsSearch: values.dnsSearch,
    dnsOptions: [...values.dnsOption, ...values.dnsOpt],
    domainname: values.domainname,
    user: values.user,
    workdir: values.workdir,
    hostname: values.hostname,
    stopSignal: values.stopSignal,
    stopTimeout: values.stopTimeout,
    shmSize: values.shmSize,
    ...(values.entrypoint === undefined ? {} : { entrypoint: values.entrypoint === '' ? [] : [values.entrypoint] }),
  };
}

type Places = Pick<Values<typeof CONTAINER_FLAGS>, 'ip' | 'ip6' | 'macAddress' | 'linkLocalIp'>;

function toNetworks(
  asked: readonly NetworkFlag[],
  aliases: readonly string[],
  { ip, ip6, macAddress, linkLocalIp }: Places,
): Partial<RunSpec> {
  const [first, ...others] = asked.map(({ name }) => name);
  checkNetworks(asked, aliases);
  checkTwice(asked[0]?.join ?? {}, { ip, ip6, macAddress, linkLocalIp });
  const joins = asked.filter(({ join }) => Object.keys(join).length > 0);
  return {
    ...(first === undefined ? {} : { network: first, moreNetworks: others }),
    networkAliases: aliases,
    ip,
    ip6,
    macAddress,
    linkLocalIps: linkLocalIp,
    ...(joins.length > 0 ? { joins: Object.fromEntries(joins.map(({ name, join }) => [name, join])) } : {}),
  };
}

/** What is said of the first network may be said in one way alone. @throws {UsageError} */
function checkTwice(join: NetworkFlag['join'], { ip, ip6, macAddress, linkLocalIp }: Places): void {
  const pairs: Readonly<Record<string, readonly [boolean, boolean]>> = {
    '--ip and per-network IPv4 address': [ip !== undefined, join.address !== undefined],
    '--ip6 and per-network IPv6 address': [ip6 !== undefined, join.address6 !== undefined],
    '--mac-address and per-network MAC address': [macAddress !== undefined, join.mac !== undefined],
    '--link-local-ip and per-network link-local IP addresses': [linkLocalIp.length > 0, join.linkLocal !== undefined],
  };
  for (const [what, [one, other]] of Object.entries(pairs)) {
    if (one && other) throw new UsageError(`conflicting options: cannot specify both ${what}`);
  }
}

/** What Docker refuses before it asks the network. @throws {UsageError} */
function checkNetworks(asked: readonly NetworkFlag[], aliases: readonly string[]): void {
  const names = asked.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`network "${twice}" is specified multiple times`);
  const own = asked[0]?.join.aliases ?? [];
  if (aliases.length > 0 && own.length > 0) {
    throw new UsageError('conflicting options: cannot specify both --network-alias and per-network alias');
  }
  const [made, first] = [names.filter(isOwn), asked[0]];
  if (made.length > 0 && made.length < names.length && !names.includes('bridge')) {
    throw new UsageError(
      'conflicting options: cannot attach both user-defined and non-user-defined network-modes',
      `leave out --network ${names.find((name) => !isOwn(name)) ?? ''}`,
    );
  }
  if ((aliases.length > 0 || own.length > 0) && !isOwn(first?.name ?? 'default')) {
    throw new UsageError(
      'network-scoped aliases are only supported for user-defined networks',
      'berth network create NET, and --network NET',
    );
  }
}

/** A network that somebody made. */
function isOwn(name: string): boolean {
  return !['', 'default', 'bridge', 'host', 'none', 'private'].includes(name) && !name.startsWith('container:');
}

import { isIP, isIPv4 } from 'node:net';
import { isEngineError, type NetworkSummary } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { hasLabel, isTrue, matchesAll, parseFilter, pattern } from '../filter.ts';
import { list, maybe, orNothing, single, text, texts, toggle } from '../flags.ts';
import { type Column, printList } from '../print-list.ts';
import { printObjects } from '../print-objects.ts';
import { tellPrune } from '../tell-prune.ts';
import { labelOf } from '../template/index.ts';
import { goTime } from '../units.ts';
import { OperandsError } from '../usage-error.ts';
import { parseDriverOption, parseIpv4, parseIpv6, parseLink, parseLinkLocal, parsePriority } from '../values/host.ts';
import { parseLabel } from '../values/label.ts';
import { parseMoment } from '../values/time.ts';
import { each } from './each.ts';

const COLUMNS: readonly Column[] = [
  ['NETWORK ID', 'ID'],
  ['NAME', 'Name'],
  ['DRIVER', 'Driver'],
  ['SCOPE', 'Scope'],
];

const FILTERS = {
  dangling: ({ users, predefined }: NetworkSummary, value: string) => (users === 0 && !predefined) === isTrue(value),
  driver: ({ driver }: NetworkSummary, value: string) => driver === value,
  id: ({ id }: NetworkSummary, value: string) => pattern(value).test(id),
  label: ({ labels }: NetworkSummary, value: string) => hasLabel(labels, value),
  name: ({ name }: NetworkSummary, value: string) => pattern(value).test(name),
  scope: (_network: NetworkSummary, value: string) => value === 'local',
  type: ({ predefined }: NetworkSummary, value: string) => predefined === (value === 'builtin'),
} as const;

const TYPES = ['builtin', 'custom'];

const PRUNE_FILTERS = {
  label: FILTERS.label,
  until: ({ created }: NetworkSummary, value: string) => Date.parse(created) < parseMoment(value, Date.now()),
} as const;

/** `berth network create`. */
const create = defineCommand({
  name: 'network create',
  docs: 'Create a network',
  operands: 'NETWORK',
  flags: {
    auxAddress: list('--aux-address NAME=ADDRESS', 'an address of the subnet that no container gets', parseLabel),
    attachable: toggle('--attachable', 'kept and shown; every network can be joined here'),
    driver: single('-d, --driver DRIVER', 'bridge, the only one', parseDriver),
    gateway: list('--gateway ADDRESS', "the host's address on the network, one of IPv4 and one of IPv6", parseAddress),
    internal: toggle('--internal', 'without a way to other networks'),
    ipamDriver: single('--ipam-driver DRIVER', 'default, the only one', parseIpamDriver),
    ipRange: texts('--ip-range SUBNET', 'part of a subnet to choose addresses from'),
    ipv4: maybe('--ipv4', 'with IPv4 addresses, as every network here'),
    ipv6: maybe('--ipv6', 'with IPv6 addresses as well'),
    label: list('--label NAME=VALUE', 'set a label', parseLabel),
    option: list(
      '-o, --opt NAME=VALUE',
      'set an option: com.docker.network.driver.mtu, com.docker.network.bridge.…',
      parseLabel,
    ),
    scope: single('--scope SCOPE', 'local, the only one', parseScope),
    subnet: texts('--subnet SUBNET', 'addresses of the network, as 10.9.8.0/24 or, with --ipv6, fd00:9:8::/64'),
  },
  refused: ['config-from', 'config-only', 'ingress', 'ipam-opt'],
  run: async (context, { auxAddress, label, option, ipv4, ipv6, ...values }, [name = '']) => {
    checkFamilies({ ipv4, ipv6 });
    const { attachable, internal } = values;
    const { networks } = await context.engine();
    const request = {
      ...{ attachable, internal, ipv6, name },
      subnets: values.subnet,
      gateways: values.gateway,
      ipRanges: values.ipRange,
      labels: Object.fromEntries(label),
      options: Object.fromEntries(option),
      reserved: auxAddress,
    };
    context.stdout.write(`${await networks.create(request)}\n`);
    return 0;
  },
});

/** `berth network ls`. */
const ls = defineCommand({
  name: 'network ls',
  docs: 'List networks',
  operands: '',
  flags: {
    filter: list('-f, --filter NAME=VALUE', `${Object.keys(FILTERS).join('=, ')}=`, (word) =>
      parseFilter(word, FILTERS, { type: TYPES }),
    ),
    format: text('--format FORMAT', 'json, table, or a template'),
    noTrunc: toggle('--no-trunc', 'print whole ids'),
    quiet: toggle('-q, --quiet', 'print ids alone'),
  },
  run: async (context, { filter, format, noTrunc, quiet }) => {
    const { networks } = await context.engine();
    const all = (await networks.list()).filter((one) => matchesAll(one, filter, FILTERS));
    const rows = all.map((one) => ({
      ID: noTrunc ? one.id : one.id.slice(0, 12),
      Name: one.name,
      Driver: one.driver,
      Scope: 'local',
      IPv4: 'true',
      IPv6: String(one.ipv6 !== undefined),
      Internal: String(one.internal),
      Label: labelOf(one.labels),
      Labels: Object.entries(one.labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(','),
      CreatedAt: goTime(one.created, { fraction: true }),
    }));
    printList(context, rows, { columns: COLUMNS, format: format ?? (quiet ? '{{.ID}}' : undefined) });
    return 0;
  },
});

/** `berth network connect`. */
const connect = defineCommand({
  name: 'network connect',
  docs: 'Let a container join a network',
  operands: 'NETWORK CONTAINER',
  flags: {
    alias: texts('--alias NAME', 'further name of the container on the network'),
    driverOpt: list('--driver-opt NAME=VALUE', 'com.docker.network.endpoint.ifname or .sysctls', parseDriverOption),
    gwPriority: single('--gw-priority NUMBER', 'the network with the highest one leads out', parsePriority),
    ip: single('--ip ADDRESS', 'IPv4 address on the network', parseIpv4),
    ip6: single('--ip6 ADDRESS', 'IPv6 address on the network', parseIpv6),
    link: list('--link CONTAINER[:ALIAS]', 'find another container there by a name of its own', parseLink),
    linkLocalIp: list('--link-local-ip ADDRESS', 'further address, of 169.254.0.0/16 or fe80::/10', parseLinkLocal),
  },
  run: async (context, { alias, driverOpt, gwPriority, ip, ip6, link, linkLocalIp }, [name = '', container = '']) => {
    const { networks } = await context.engine();
    await networks.connect(name, container, {
      address: ip,
      address6: ip6,
      aliases: alias,
      links: link,
      linkLocal: linkLocalIp,
      gatewayPriority: gwPriority,
      ...(driverOpt.length > 0 ? { driverOptions: Object.fromEntries(driverOpt) } : {}),
    });
    return 0;
  },
});

/** `berth network disconnect`. */
const disconnect = defineCommand({
  name: 'network disconnect',
  docs: 'Take a container off a network',
  operands: 'NETWORK CONTAINER',
  flags: { force: toggle('-f, --force', 'the same: there is no daemon that could know less than the network') },
  run: async (context, _values, [name = '', container = '']) => {
    const { networks } = await context.engine();
    await networks.disconnect(name, container);
    return 0;
  },
});

/** `berth network inspect`. */
const inspect = defineCommand({
  name: 'network inspect',
  docs: 'Show networks with the containers on them',
  operands: 'NETWORK [NETWORK...]',
  flags: {
    format: orNothing(text('-f, --format FORMAT', 'json, or a template')),
    verbose: toggle('-v, --verbose', 'the same: there is no more to show'),
  },
  run: async (context, { format }, names) => {
    const { networks } = await context.engine();
    return await printObjects(context, names, { format, find: async (name) => await networks.inspect(name) });
  },
});

/** `berth network rm`. */
const rm = defineCommand({
  name: 'network rm',
  docs: 'Remove networks',
  operands: 'NETWORK [NETWORK...]',
  flags: { force: toggle('-f, --force', 'no error for a network that is not there') },
  run: async (context, { force }, names) => {
    const { networks } = await context.engine();
    return await each(context, names, async (name) => {
      try {
        await networks.remove(name);
      } catch (error) {
        if (!force || !isEngineError(error, 'NETWORK_NOT_FOUND')) throw error;
        return undefined;
      }
      return name;
    });
  },
});

/** `berth network prune`. */
const prune = defineCommand({
  name: 'network prune',
  docs: 'Remove networks that no container is on',
  operands: '',
  flags: {
    filter: list('--filter NAME=VALUE', 'until=, label=', (word) => parseFilter(word, PRUNE_FILTERS)),
    force: toggle('-f, --force', 'do not ask'),
  },
  run: async (context, { filter, force }) => {
    const warning = 'WARNING! This will remove all custom networks not used by at least one container.';
    if (!force && !(await confirm(context, warning))) return 0;
    const engine = await context.engine();
    const names = await engine.networks.prune({ keep: (one) => !matchesAll(one, filter, PRUNE_FILTERS) });
    await tellPrune(engine, 'network', 0);
    if (names.length > 0) context.stdout.write(`Deleted Networks:\n${names.map((name) => `${name}\n`).join('')}\n`);
    return 0;
  },
});

/** `berth network …`, by their words. */
export const network = { create, connect, disconnect, ls, list: ls, inspect, rm, remove: rm, prune };

function parseDriver(word: string): 'bridge' {
  if (word === 'bridge') return word;
  throw new OperandsError(`Cannot use network driver ${word}: not supported yet`, '--driver bridge is');
}

/** Networks here have IPv4 addresses, with IPv6 or without. @throws {OperandsError} */
function checkFamilies({
  ipv4 = true,
  ipv6 = false,
}: {
  readonly ipv4: boolean | undefined;
  readonly ipv6: boolean | undefined;
}): void {
  if (ipv4) return;
  if (!ipv6) throw new OperandsError('Cannot use --ipv4=false: IPv4 or IPv6 must be enabled', 'leave it out');
  throw new OperandsError('Cannot use --ipv4=false: networks have IPv4 addresses', 'leave it out, and keep --ipv6');
}

function parseAddress(word: string): string {
  if (isIP(word) === 0) throw new OperandsError(`Cannot use --gateway ${word}: it is no IP address`);
  return isIPv4(word) ? word : parseIpv6(word);
}

function parseIpamDriver(word: string): 'default' {
  if (word === 'default') return word;
  throw new OperandsError(`Cannot use address driver ${word}: there are no plugins`, '--ipam-driver default is');
}

function parseScope(word: string): 'local' {
  if (word === 'local') return word;
  throw new OperandsError(`Cannot use scope ${word}: berth runs on one machine`, '--scope local is');
}

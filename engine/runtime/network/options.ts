import { isIPv4 } from 'node:net';
import type { BridgeTrait } from '../../native/protocol.ts';
import { invalid } from './range.ts';
import type { NetworkRecord } from './records.ts';

type Traits = Pick<NetworkRecord, 'mtu' | 'bridge' | 'traits' | 'hostBinding' | 'interfacePrefix'>;

const BRIDGE = 'com.docker.network.bridge.';
const NAME = `${BRIDGE}name`;
const ICC = `${BRIDGE}enable_icc`;
const MASQUERADE = `${BRIDGE}enable_ip_masquerade`;
const HOST_BINDING = `${BRIDGE}host_binding_ipv4`;
const GATEWAY_MODE = `${BRIDGE}gateway_mode_ipv4`;
const GATEWAY_MODE6 = `${BRIDGE}gateway_mode_ipv6`;
const MTU = 'com.docker.network.driver.mtu';
const PREFIX = 'com.docker.network.container_iface_prefix';

/** Options of `network create --opt` that are done. */
export const NETWORK_OPTIONS: readonly string[] = [
  NAME,
  ICC,
  MASQUERADE,
  HOST_BINDING,
  GATEWAY_MODE,
  GATEWAY_MODE6,
  MTU,
  PREFIX,
];

/** What the options of a network come to. @throws `NETWORK_INVALID` naming one that is not done, or its value */
export function readOptions(
  options: Readonly<Record<string, string>>,
  { internal, ipv6 }: { readonly internal: boolean; readonly ipv6: boolean },
): Traits {
  const unknown = Object.keys(options).find((name) => !NETWORK_OPTIONS.includes(name));
  if (unknown !== undefined) {
    throw invalid(`--opt ${unknown}`, 'not supported yet', `these are: ${NETWORK_OPTIONS.join(', ')}`);
  }
  const isolated = isIsolated(options, { internal, ipv6 });
  const traits: readonly BridgeTrait[] = [
    ...(isOff(options, MASQUERADE) ? (['noMasquerade'] as const) : []),
    ...(isOff(options, ICC) ? (['noNeighbours'] as const) : []),
    ...(isolated ? (['noHost'] as const) : []),
  ];
  const [mtu, bridge] = [mtuOf(options, ipv6), nameOf(options, NAME, 15)];
  const [hostBinding, interfacePrefix] = [bindingOf(options), nameOf(options, PREFIX, 11)];
  return {
    ...(mtu === undefined ? {} : { mtu }),
    ...(bridge === undefined ? {} : { bridge }),
    ...(traits.length > 0 ? { traits } : {}),
    ...(hostBinding === undefined ? {} : { hostBinding }),
    ...(interfacePrefix === undefined ? {} : { interfacePrefix }),
  };
}

/** Both families have one mode; the host has no address on an isolated network. */
function isIsolated(
  options: Readonly<Record<string, string>>,
  { internal, ipv6 }: { readonly internal: boolean; readonly ipv6: boolean },
): boolean {
  const names = ipv6 || options[GATEWAY_MODE6] !== undefined ? [GATEWAY_MODE, GATEWAY_MODE6] : [GATEWAY_MODE];
  const modes = names.map((name) => {
    const mode = options[name] ?? 'nat';
    if (mode !== 'nat' && mode !== 'isolated') {
      throw invalid(`--opt ${name}=${mode}`, 'not supported yet; nat is, and isolated with --internal');
    }
    if (mode === 'isolated' && !internal) {
      throw invalid(`--opt ${name}=${mode}`, "gateway mode 'isolated' can only be used for an internal network");
    }
    return mode;
  });
  if (new Set(modes).size > 1) {
    throw invalid(`--opt ${GATEWAY_MODE6}=${modes[1] ?? ''}`, `not supported yet beside ${GATEWAY_MODE}=${modes[0]}`);
  }
  return modes[0] === 'isolated';
}

/** As Go reads a truth value. */
function isOff(options: Readonly<Record<string, string>>, name: string): boolean {
  const text = options[name];
  if (text === undefined || /^(1|t|T|true|TRUE|True)$/.test(text)) return false;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return true;
  throw invalid(`--opt ${name}=${text}`, 'it is true or false');
}

/** The smallest packets of IPv4 have 68 bytes, those of IPv6 1280. */
function mtuOf(options: Readonly<Record<string, string>>, ipv6: boolean): number | undefined {
  const text = options[MTU];
  if (text === undefined) return undefined;
  const lowest = ipv6 ? 1280 : 68;
  if (/^\d{1,5}$/.test(text) && Number(text) >= lowest && Number(text) <= 65_535) return Number(text);
  throw invalid(`--opt ${MTU}=${text}`, `a packet has ${lowest} to 65535 bytes`);
}

function nameOf(options: Readonly<Record<string, string>>, option: string, longest: number): string | undefined {
  const text = options[option];
  if (text === undefined || isInterfaceName(text, longest)) return text;
  if (text === 'lo')
    throw invalid(`--opt ${option}=${text}`, 'existing interface lo is not a bridge', 'give it another name');
  throw invalid(`--opt ${option}=${text}`, `a name of an interface has at most ${longest} of [a-zA-Z0-9_.-]`);
}

function bindingOf(options: Readonly<Record<string, string>>): string | undefined {
  const text = options[HOST_BINDING];
  if (text === undefined || isIPv4(text)) return text === '0.0.0.0' ? undefined : text;
  throw invalid(`--opt ${HOST_BINDING}=${text}`, 'it is no IPv4 address');
}

/** Whether an interface may be called so; the helper's rule. */
export function isInterfaceName(text: string, longest = 15): boolean {
  return /^[a-zA-Z0-9_.][a-zA-Z0-9_.-]*$/.test(text) && text.length <= longest && !/^\.+$/.test(text) && text !== 'lo';
}

import { EngineError } from '../../base/errors.ts';
import { isInterfaceName } from './options.ts';

/** What the options of the driver say about an interface of a container. */
export interface InterfaceOptions {
  readonly name?: string | undefined;
  /** By their names with `IFNAME` in the place of the interface's. */
  readonly sysctls: Readonly<Record<string, string>>;
}

const NAME = 'com.docker.network.endpoint.ifname';
const SYSCTLS = 'com.docker.network.endpoint.sysctls';

/** Reads `--driver-opt` of a container's network. @throws `NETWORK_INVALID` naming one that is not done, or its value */
export function readDriverOptions(options: Readonly<Record<string, string>>): InterfaceOptions {
  for (const option of Object.keys(options)) {
    if (option === NAME || option === SYSCTLS) continue;
    throw invalid(`--driver-opt ${option}`, 'not supported yet', `these are: ${NAME}, ${SYSCTLS}`);
  }
  const [name, sysctls = ''] = [options[NAME], options[SYSCTLS]];
  if (name !== undefined && !isInterfaceName(name)) {
    throw invalid(`--driver-opt ${NAME}=${name}`, 'a name of an interface has at most 15 of [a-zA-Z0-9_.-]');
  }
  return { name, sysctls: Object.fromEntries(sysctls.split(',').filter(Boolean).map(readSysctl)) };
}

/** `net.ipv4.conf.IFNAME.log_martians=1`; only what belongs to the interface alone, the helper's rule as well. */
function readSysctl(text: string): readonly [string, string] {
  const match = /^(net\.ipv[46]\.(?:conf|neigh))\.IFNAME\.([a-z0-9_]+)=([^\p{Cc}]+)$/iu.exec(text.trim());
  const [, kind, name, value] = match ?? [];
  // Docker's own command line writes it all small.
  if (kind !== undefined && name !== undefined && value !== undefined) {
    return [`${kind.toLowerCase()}.IFNAME.${name.toLowerCase()}`, value];
  }
  throw invalid(
    `--driver-opt ${SYSCTLS}=${text}`,
    'it is no parameter of one interface',
    `${SYSCTLS}=net.ipv4.conf.IFNAME.log_martians=1`,
  );
}

function invalid(what: string, why: string, hint?: string): EngineError {
  return new EngineError('NETWORK_INVALID', `Cannot use ${what}: ${why}`, { hint });
}

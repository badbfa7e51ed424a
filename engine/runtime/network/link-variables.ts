/** What the variables of a link are made of. */
export interface LinkFacts {
  readonly alias: string;
  /** Name of the container that has the link. */
  readonly parent: string;
  /** Of the container that is linked, as the two that follow. */
  readonly address: string;
  /** As `8080/tcp`; without a protocol it is tcp. */
  readonly ports: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
}

interface Port {
  readonly number: number;
  readonly protocol: string;
}

/** Variables of the image's build, which say nothing about the other container. */
const NOT_TOLD = new Set(['HOME', 'PATH']);

/** The variables by which a container finds one that it is linked with, as Docker sets them on the default network. */
export function linkVariables({ alias, parent, address, ports, env }: LinkFacts): readonly string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_');
  const sorted = sortPorts(ports.flatMap(readPort));
  const url = ({ number, protocol }: Port): string => `${protocol}://${address}:${number}`;
  const key = ({ number, protocol }: Port): string => `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
  const first = sorted[0];
  return [
    ...runsOf(sorted).flatMap(([start, end]) => [
      `${key(start)}_START=${url(start)}`,
      `${key(start)}_PORT_START=${start.number}`,
      `${key(start)}_END=${url(end)}`,
      `${key(start)}_PORT_END=${end.number}`,
    ]),
    ...(first ? [`${prefix}_PORT=${url(first)}`] : []),
    ...sorted.flatMap((port) => [
      `${key(port)}=${url(port)}`,
      `${key(port)}_ADDR=${address}`,
      `${key(port)}_PORT=${port.number}`,
      `${key(port)}_PROTO=${port.protocol}`,
    ]),
    `${prefix}_NAME=/${parent}/${alias}`,
    ...env.flatMap((variable) => {
      const at = variable.indexOf('=');
      const name = variable.slice(0, Math.max(at, 0));
      return at < 0 || NOT_TOLD.has(name) ? [] : [`${prefix}_ENV_${variable}`];
    }),
  ];
}

function readPort(text: string): readonly Port[] {
  const [number = '', protocol = 'tcp'] = text.split('/');
  return /^\d+$/.test(number) ? [{ number: Number(number), protocol }] : [];
}

/** Those of tcp first. */
function sortPorts(ports: readonly Port[]): readonly Port[] {
  const rank = ({ protocol }: Port): number => (protocol === 'tcp' ? 0 : 1);
  return [...ports].sort((a, b) => rank(a) - rank(b) || a.number - b.number);
}

/** First and last of ports of one protocol that follow one another. */
function runsOf(ports: readonly Port[]): readonly (readonly [Port, Port])[] {
  const runs: (readonly [Port, Port])[] = [];
  for (const port of ports) {
    const last = runs.at(-1);
    if (last && last[1].protocol === port.protocol && last[1].number + 1 === port.number) {
      runs[runs.length - 1] = [last[0], port];
    } else runs.push([port, port]);
  }
  return runs.filter(([start, end]) => start !== end);
}

import { SyntaxMistake } from '../dockerfile/index.ts';

const PROTOCOLS: readonly string[] = ['tcp', 'udp', 'sctp'];
const HIGHEST = 65_535;

/**
 * The ports of one word of EXPOSE as `port/protocol`; ranges are spelled out. A host part (`8080:80`) is taken as Docker does: for its
 * container port only.
 *
 * @throws SyntaxMistake
 */
export function exposedPorts(word: string): readonly string[] {
  const parts = word.split(':');
  const [range = '', protocolPart = '', ...more] = (parts.at(-1) ?? '').split('/');
  const protocol = protocolPart === '' ? 'tcp' : protocolPart.toLowerCase();
  if (more.length > 0 || !PROTOCOLS.includes(protocol)) {
    throw new SyntaxMistake(
      'bad-value',
      `EXPOSE ${word} has no known protocol`,
      'Write port/tcp, port/udp or port/sctp',
    );
  }
  const [first, last] = readRange(range, word);
  const host = parts.length > 1 ? (parts.at(-2) ?? '') : '';
  if (host !== '') checkHost(readRange(host, word), [first, last], word);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

function readRange(text: string, word: string): readonly [number, number] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match && first <= last && last <= HIGHEST) return [first, last];
  throw new SyntaxMistake(
    'bad-value',
    `EXPOSE ${word} is no port`,
    `Write a port up to ${HIGHEST}, or a range such as 8000-8010`,
  );
}

function checkHost(host: readonly [number, number], container: readonly [number, number], word: string): void {
  if (container[0] === container[1] || host[1] - host[0] === container[1] - container[0]) return;
  throw new SyntaxMistake(
    'bad-value',
    `EXPOSE ${word} has ranges of different lengths`,
    `Write the container's ports only: EXPOSE ${container[0]}-${container[1]}`,
  );
}

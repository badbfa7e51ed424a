import type { Event, Failure, Line, Reply } from './protocol.ts';

/** Longest line of the helper that is taken, and how much of what is not JSON is kept for an error. */
const MAX_LINE = 4 * 1024 * 1024;
const MAX_NOISE = 16 * 1024;

/** What the helper said on fd 2 when it ended. */
export interface Spoken {
  readonly reply?: Reply | undefined;
  readonly failure?: Failure | undefined;
  /** What was not the protocol: a panic, or a message of sudo. */
  readonly noise: string;
}

/** Reads fd 2 to its end: events go out as they come; reply, failure and everything else are kept. */
export async function readLines(
  source: AsyncIterable<Uint8Array>,
  listeners: { readonly onEvent: (event: Event) => void; readonly onResult: () => void },
): Promise<Spoken> {
  let spoken: Spoken = { noise: '' };
  await eachLine(source, (line, text) => {
    if (!line) spoken = addNoise(spoken, text);
    else if ('event' in line) listeners.onEvent(line.event);
    else if (!spoken.reply && !spoken.failure) {
      // The first result counts: upon it fd 0 is closed, and a helper on its way out may take that for a cancellation.
      spoken = { ...spoken, ...line };
      listeners.onResult();
    }
  });
  return { ...spoken, noise: spoken.noise.trim() };
}

/** Hands each line on; undefined with its text for one that is not of the protocol. */
export async function eachLine(
  source: AsyncIterable<Uint8Array>,
  onLine: (line: Line | undefined, text: string) => void,
): Promise<void> {
  for await (const text of splitLines(source)) onLine(parseLine(text), text);
}

/** Keeps the end of what is not of the protocol. */
export function addNoise(spoken: Spoken, text: string): Spoken {
  return { ...spoken, noise: (spoken.noise + text + '\n').slice(-MAX_NOISE) };
}

async function* splitLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    let start = 0;
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : Buffer.from(chunk);
    for (let end = bytes.indexOf(10, start); end >= 0; end = bytes.indexOf(10, start)) {
      yield bytes.toString('utf8', start, end);
      start = end + 1;
    }
    rest = bytes.subarray(start);
    if (rest.length > MAX_LINE) {
      yield rest.toString('utf8', 0, MAX_NOISE);
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length > 0) yield rest.toString('utf8');
}

/** A line of the protocol; undefined for anything else. The shape is trusted: it is our own binary, checked by its hash. */
function parseLine(text: string): Line | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const known = typeof value === 'object' && value !== null && ('event' in value || 'reply' in value || 'failure' in value);
    return known ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}

import { parseJson } from './json.ts';

/** `sse:` — what a stream of events must be. */
export interface ExpectedEvents {
  readonly minEvents: number;
  /** Data of the last event, such as `[DONE]`. */
  readonly last?: string | undefined;
  /** Seconds from the request to the first event. */
  readonly firstEventSeconds?: number | undefined;
  /** Part of the whole time, 0 to 1, that lies between the first and the last event at least: a buffered stream comes at once. */
  readonly spread?: number | undefined;
}

/** When the bytes of an answer came: milliseconds from the request, and how many there were then. */
export interface Arrival {
  readonly milliseconds: number;
  readonly bytes: number;
}

/** An event of the stream. */
export interface ServerEvent {
  readonly data: string;
  readonly milliseconds: number;
}

/** Events by the rules of the HTML standard; comments and events without data are none. */
export function eventsOf(body: Uint8Array, arrivals: readonly Arrival[]): readonly ServerEvent[] {
  const events: ServerEvent[] = [];
  let data: string[] = [];
  let at = 0;
  let arrival = 0;
  for (const { line, end } of linesOf(Buffer.from(body.buffer, body.byteOffset, body.byteLength))) {
    at = end;
    if (line !== '') {
      const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (field === 'data') data.push(value);
      continue;
    }
    if (data.length === 0) continue;
    while (arrival < arrivals.length - 1 && (arrivals[arrival]?.bytes ?? 0) < at) arrival += 1;
    events.push({ data: data.join('\n'), milliseconds: arrivals[arrival]?.milliseconds ?? 0 });
    data = [];
  }
  return events;
}

/** Lines with the offset behind them; they end with LF, CR LF or CR. An event that the end cuts off is none. */
function* linesOf(body: Buffer): Generator<{ readonly line: string; readonly end: number }> {
  let start = body.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0;
  for (let at = start; at < body.length; at += 1) {
    if (body[at] !== 0x0a && body[at] !== 0x0d) continue;
    const line = body.toString('utf8', start, at);
    if (body[at] === 0x0d && body[at + 1] === 0x0a) at += 1;
    start = at + 1;
    yield { line, end: start };
  }
}

/** In what a stream is not as it should be. @param total milliseconds of the whole answer */
export function eventViolations(
  events: readonly ServerEvent[],
  total: number,
  wanted: ExpectedEvents,
): readonly string[] {
  const found: string[] = [];
  const [first, last] = [events[0], events.at(-1)];
  if (events.length < wanted.minEvents) found.push(`wanted at least ${wanted.minEvents} events, got ${events.length}`);
  if (wanted.last !== undefined && last?.data !== wanted.last)
    found.push(`wanted ${JSON.stringify(wanted.last)} as last event, got ${shown(last?.data)}`);
  if (first === undefined || last === undefined) return found;
  const { firstEventSeconds, spread } = wanted;
  if (firstEventSeconds !== undefined && first.milliseconds > firstEventSeconds * 1000)
    found.push(
      `wanted the first event within ${firstEventSeconds} s, it came after ${(first.milliseconds / 1000).toFixed(1)} s`,
    );
  const share = total > 0 ? (last.milliseconds - first.milliseconds) / total : 0;
  if (spread !== undefined && share < spread)
    found.push(
      `wanted the events over ${percent(spread)} of the time, they came within ${percent(share)} of ${total.toFixed(0)} ms: the stream is buffered`,
    );
  return found;
}

/** Numbers in the data of events that JSON has no word for. */
export function nonFiniteEvents(
  events: readonly ServerEvent[],
): readonly { readonly path: string; readonly token: string }[] {
  return events.flatMap(({ data }, index) => {
    if (!/^\s*[[{]/.test(data)) return [];
    try {
      return parseJson(data).nonFinite.map(({ path, token }) => ({ path: `event ${index + 1}: ${path}`, token }));
    } catch {
      // Data need not be JSON.
      return [];
    }
  });
}

function shown(data: string | undefined): string {
  return data === undefined ? 'none' : JSON.stringify(data.slice(0, 100));
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

import type { GpuRequest } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';
import { parseCsv } from './csv.ts';

/** `all`, `2`, `"device=0,1"` or `count=1,"capabilities=utility,compute"`, of `--gpus`. @throws in Docker's words */
export function parseGpus(text: string): GpuRequest {
  const [fields, seen] = [new Map<string, string>(), new Set<string>()];
  for (const field of parseCsv(text)) {
    const at = field.indexOf('=');
    const key = at < 0 ? field : field.slice(0, at);
    if (seen.has(key)) throw new UsageError(`gpu request key '${key}' can be specified only once`);
    const name = at < 0 ? 'count' : key;
    if (!KNOWN.has(name)) throw new UsageError(`unexpected key '${name}' in '${field}'`, QUOTE);
    seen.add(key).add(name);
    fields.set(name, field.slice(at + 1));
  }
  const [count, devices] = [fields.get('count'), fields.get('device')?.split(',') ?? []];
  const capabilities = fields.get('capabilities');
  return {
    driver: fields.get('driver'),
    count: count === undefined ? (devices.length > 0 ? 0 : 1) : parseCount(count),
    devices,
    capabilities: capabilities === undefined ? ['gpu'] : [...capabilities.split(','), 'gpu'],
    options: optionsOf(fields.get('options')),
  };
}

const KNOWN = new Set(['count', 'device', 'capabilities', 'driver', 'options']);
const QUOTE = 'quote a list for the shell: --gpus \'"device=0,1"\'';

function parseCount(word: string): number {
  if (word === 'all') return -1;
  if (/^[+-]?\d{1,9}$/.test(word)) return Number(word);
  throw new UsageError(`invalid count (${word}): value must be either "all" or an integer: invalid syntax`, QUOTE);
}

function optionsOf(text: string | undefined): Readonly<Record<string, string>> {
  const pairs = text === undefined ? [] : parseCsv(text);
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

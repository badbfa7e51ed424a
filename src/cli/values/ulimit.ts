import type { RunSpec } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';

type Ulimit = NonNullable<RunSpec['ulimits']>[number];

const NAMES = new Set(
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '),
);

/** `name=soft[:hard]`; -1 is unlimited. @throws naming what is wrong */
export function parseUlimit(text: string): Ulimit {
  const [name = '', ...values] = text.split('=');
  if (values.length !== 1) throw new UsageError(`invalid ulimit argument: ${text}`);
  if (!NAMES.has(name)) throw new UsageError(`invalid ulimit type: ${name}`);
  const limits = (values[0] ?? '').split(':');
  if (limits.length > 2)
    throw new UsageError(`too many limit value arguments - ${values[0]}, can only have up to two, soft[:hard]`);
  const [soft = 0, hard = soft] = limits.map(toLimit);
  const order = (limit: number): number => (limit === -1 ? Infinity : limit);
  if (order(soft) > order(hard)) {
    throw new UsageError(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return { name, soft, hard };
}

function toLimit(text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < -1 || !Number.isSafeInteger(value))
    throw new UsageError(`invalid ulimit value: "${text}"`);
  return value;
}

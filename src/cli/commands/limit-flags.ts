import type { Limits } from '../../../engine/index.ts';
import { count, list, orNothing, single, text, toggle, type Values } from '../flags.ts';
import { UsageError } from '../usage-error.ts';
import { parseByteRate, parseOperationRate, parseWeight } from '../values/block-device.ts';
import { parseSize } from '../values/size.ts';

/** Limits of `run` and `create`, those of `update` among them. */
export const LIMIT_FLAGS = {
  blkioWeight: count('--blkio-weight WEIGHT', 'share of block devices among containers, 10 to 1000; 0 for none'),
  cpuPeriod: count('--cpu-period MICROSECONDS', 'period of the scheduler for --cpu-quota'),
  cpuQuota: single('--cpu-quota MICROSECONDS', 'processor time in each period', parseNumber),
  cpuShares: count('-c, --cpu-shares SHARES', 'weight among containers that want more than there is'),
  cpus: single('--cpus NUMBER', 'processors, with fractions', parseCpus),
  cpusetCpus: orNothing(text('--cpuset-cpus CPUS', 'processors that may be used (0-2, 0,1)')),
  cpusetMems: orNothing(text('--cpuset-mems NODES', 'memory nodes that may be used')),
  memory: single('-m, --memory SIZE', 'most memory', parseSize),
  memoryReservation: single(
    '--memory-reservation SIZE',
    'memory that is left when the machine is short of it',
    parseSize,
  ),
  memorySwap: single('--memory-swap SIZE', 'memory and swap together, -1 for no limit', (word) =>
    word === '-1' ? -1 : parseSize(word),
  ),
  pids: single('--pids-limit NUMBER', 'most processes, -1 for no limit', parsePids),
} as const;

/** Those of `run` and `create` alone. */
export const START_LIMIT_FLAGS = {
  ...LIMIT_FLAGS,
  blkioWeightDevice: list('--blkio-weight-device DEVICE:WEIGHT', 'the share of one device', parseWeight),
  deviceReadBps: list(
    '--device-read-bps DEVICE:RATE',
    'most bytes read from a device in a second (/dev/sda:1mb)',
    parseByteRate,
  ),
  deviceReadIops: list('--device-read-iops DEVICE:RATE', 'most reads of a device in a second', parseOperationRate),
  deviceWriteBps: list('--device-write-bps DEVICE:RATE', 'most bytes written to a device in a second', parseByteRate),
  deviceWriteIops: list('--device-write-iops DEVICE:RATE', 'most writes to a device in a second', parseOperationRate),
  memorySwappiness: single('--memory-swappiness NUMBER', 'how willingly memory is swapped out, 0 to 100', parseNumber),
  oomKillDisable: toggle('--oom-kill-disable', 'let processes wait for memory instead of killing them'),
} as const;

/** The limits that were given. */
export function toLimits(
  values: Values<typeof LIMIT_FLAGS> & Partial<Omit<Values<typeof START_LIMIT_FLAGS>, keyof typeof LIMIT_FLAGS>>,
): Limits | undefined {
  const { cpuPeriod, cpuQuota, cpuShares, cpus, cpusetCpus, cpusetMems, memory, memoryReservation, memorySwap } =
    values;
  const { memorySwappiness, pids, oomKillDisable } = values;
  const swappiness = memorySwappiness === -1 ? undefined : memorySwappiness;
  const limits: Limits = {
    blkioWeight: values.blkioWeight,
    blkioWeightDevice: some(values.blkioWeightDevice),
    deviceReadBps: some(values.deviceReadBps),
    deviceReadIops: some(values.deviceReadIops),
    deviceWriteBps: some(values.deviceWriteBps),
    deviceWriteIops: some(values.deviceWriteIops),
    cpuPeriod,
    cpuQuota,
    cpuShares,
    cpus,
    cpusetCpus,
    cpusetMems,
    memory: memory || undefined,
    memoryReservation,
    memorySwap,
    memorySwappiness: swappiness,
    pids,
    ...(oomKillDisable ? { oomKillDisable } : {}),
  };
  return Object.values(limits).some((value) => value !== undefined) ? limits : undefined;
}

function some<T>(given: readonly T[] = []): readonly T[] | undefined {
  return given.length > 0 ? given : undefined;
}

/** A whole number, below 0 too. */
export function parseNumber(word: string): number {
  const value = Number(word);
  if (!/^-?\d+$/.test(word) || !Number.isSafeInteger(value)) throw new UsageError(`invalid number: "${word}"`);
  return value;
}

/** Processes that a machine can have at all: `PID_MAX_LIMIT` of the kernel, beyond which it takes no limit. */
const MOST_PROCESSES = 4_194_304;

function parsePids(word: string): number {
  const value = parseNumber(word);
  if (value <= MOST_PROCESSES) return value;
  throw new UsageError(`invalid number of processes: ${word} is more than ${MOST_PROCESSES}`, '-1 is no limit');
}

function parseCpus(word: string): number | undefined {
  const value = Number(word);
  if (!/^\d*\.?\d+$/.test(word) || !Number.isFinite(value))
    throw new UsageError(`failed to parse ${word} as a rational number`);
  if (/\.\d{10}/.test(word)) throw new UsageError('value is too precise');
  return value === 0 ? undefined : value;
}

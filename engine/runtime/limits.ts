import { EngineError } from '../base/errors.ts';
import type { Limits } from '../engine.ts';
import type { Cpu, Memory, Resources } from '../native/protocol.ts';

/** Below this the kernel kills a container before its process runs; Docker's bound. */
const MIN_MEMORY = 6 * 1024 * 1024;
const CPU_PERIOD = 100_000;

/**
 * Limits as the runtime specification has them. The helper applies each of them or fails.
 *
 * @throws `LIMIT_INVALID` for values that exclude each other or that this machine does not have, in Docker's words
 */
export function toResources(limits: Limits, processors: number): Pick<Resources, 'memory' | 'cpu' | 'pids'> {
  const memory = memoryOf(limits);
  const cpu = cpuOf(limits, processors);
  return {
    ...(memory ? { memory } : {}),
    ...(cpu ? { cpu } : {}),
    ...(limits.pids === undefined ? {} : { pids: { limit: limits.pids === 0 ? -1 : limits.pids } }),
  };
}

function memoryOf(limits: Limits): Memory | undefined {
  const { memory: limit, memorySwap: swap, memoryReservation: reservation, memorySwappiness: swappiness } = limits;
  if (limit !== undefined && limit < MIN_MEMORY) throw invalid('Minimum memory limit allowed is 6MB');
  if (swap !== undefined && swap > 0) {
    if (limit === undefined) throw invalid('You should always set the Memory limit when using Memoryswap limit');
    if (swap < limit) {
      throw invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
    }
  }
  if (reservation !== undefined && reservation > 0 && reservation < MIN_MEMORY) {
    throw invalid('Minimum memory reservation allowed is 6MB');
  }
  if (reservation !== undefined && limit !== undefined && reservation > limit) {
    throw invalid('Minimum memory limit can not be less than memory reservation limit');
  }
  if (swappiness !== undefined && (swappiness < 0 || swappiness > 100)) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  const found = {
    ...(limit === undefined ? {} : { limit }),
    ...(swap === undefined || swap === 0 ? {} : { swap }),
    ...(reservation === undefined ? {} : { reservation }),
    ...(swappiness === undefined ? {} : { swappiness }),
    ...(limits.oomKillDisable ? { disableOOMKiller: true } : {}),
  };
  return Object.keys(found).length > 0 ? found : undefined;
}

function cpuOf(limits: Limits, processors: number): Cpu | undefined {
  const { cpus, cpuShares: shares, cpuPeriod: period, cpuQuota: quota, cpusetCpus, cpusetMems } = limits;
  if (cpus !== undefined) {
    if (period !== undefined || quota !== undefined) {
      throw invalid('Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set');
    }
    if (cpus < 0.01 || cpus > processors) {
      throw invalid(
        `Range of CPUs is from 0.01 to ${processors.toFixed(2)}, as there are only ${processors} CPUs available`,
      );
    }
  }
  if (cpusetCpus !== undefined) checkProcessors(cpusetCpus, processors);
  const found = {
    ...(shares === undefined || shares === 0 ? {} : { shares }),
    ...(cpus === undefined ? {} : { quota: Math.round(cpus * CPU_PERIOD), period: CPU_PERIOD }),
    ...(period === undefined ? {} : { period }),
    ...(quota === undefined ? {} : { quota }),
    ...(cpusetCpus === undefined ? {} : { cpus: cpusetCpus }),
    ...(cpusetMems === undefined ? {} : { mems: cpusetMems }),
  };
  return Object.keys(found).length > 0 ? found : undefined;
}

/** `0-2,4`, of processors that there are. */
function checkProcessors(text: string, processors: number): void {
  const ranges = text.split(',').map((part) => /^(\d+)(?:-(\d+))?$/.exec(part));
  if (ranges.some((range) => range === null)) throw invalid(`Invalid value ${text} for cpuset cpus`);
  const highest = Math.max(...ranges.map((range) => Number(range?.[2] ?? range?.[1])));
  if (highest >= processors) {
    throw invalid(`Requested CPUs are not available - requested ${text}, available: 0-${processors - 1}`);
  }
}

function invalid(message: string): EngineError {
  return new EngineError('LIMIT_INVALID', `Cannot limit the container: ${message}`);
}

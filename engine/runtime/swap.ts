import { access, readdir, readFile } from 'node:fs/promises';
import type { Limits } from '../engine.ts';
import type { MachineProbe } from './spec.ts';

const CGROUPS = '/sys/fs/cgroup';

/** Limits of memory bound swap as well, by Docker's rule: memory and swap together are twice the memory, where the kernel counts swap. */
export async function withSwap(limits: Limits, probe: Pick<MachineProbe, 'cgroup'>): Promise<Limits> {
  const { memory, memorySwap = 0 } = limits;
  if (memory === undefined || memorySwap !== 0 || !(await countsSwap(probe))) return limits;
  return { ...limits, memorySwap: memory * 2 };
}

/** Whether the kernel counts the swap of a cgroup. */
export async function countsSwap({ cgroup: { mode } }: Pick<MachineProbe, 'cgroup'>): Promise<boolean> {
  if (mode === 'none') return false;
  if (mode !== 'v2') return await exists(`${CGROUPS}/memory/memory.memsw.limit_in_bytes`);
  // The root of version 2 has no such file; every group below it that may limit memory has.
  const own = await readFile('/proc/self/cgroup', 'utf8').then(
    (text) => /^0::(\/.*)$/m.exec(text)?.[1] ?? '/',
    () => '/',
  );
  const names = await readdir(CGROUPS, { withFileTypes: true }).catch(() => []);
  const groups = [own, ...names.filter((entry) => entry.isDirectory()).map(({ name }) => `/${name}`)];
  const found = await Promise.all(groups.map((group) => exists(`${CGROUPS}${group}/memory.swap.max`)));
  return found.includes(true);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

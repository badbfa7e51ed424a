import { spawnSync } from 'node:child_process';
import type { Platform } from './image/types.ts';

/** What this machine runs. */
export function hostPlatform(): Platform {
  const names: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: 'amd64', ia32: '386' };
  return { os: 'linux', architecture: names[process.arch] ?? process.arch };
}

/** Where util-linux or BusyBox has it. */
const SETARCH: readonly string[] = ['/usr/bin/setarch', '/bin/setarch'];

let has32Bit: boolean | undefined;

/**
 * Whether this arm64 runs programs of arm: processors for servers and Apple's no longer do, and say so only when they are asked for that
 * personality (personality(2): PER_LINUX32 is EINVAL there). Without the program that asks, nobody knows, and the answer is no.
 */
export function has32BitPrograms(): boolean {
  return (has32Bit ??= SETARCH.some(
    (path) => spawnSync(path, ['linux32', '/bin/true'], { stdio: 'ignore' }).status === 0,
  ));
}

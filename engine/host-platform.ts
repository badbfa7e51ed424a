import type { Platform } from './image/types.ts';

/** What this machine runs. */
export function hostPlatform(): Platform {
  const names: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: 'amd64', ia32: '386' };
  return { os: 'linux', architecture: names[process.arch] ?? process.arch };
}

import { readdir, readFile } from 'node:fs/promises';
import { arch, release } from 'node:os';
import { dirname, basename } from 'node:path';

/** What a container's configuration takes from the machine. */
export interface HostFacts {
  /** As Go names it. */
  readonly architecture: string;
  readonly kernel: string;
  /** Hard limit of open files of this process; the profile's is lowered to it, as it may not be raised without a capability. */
  readonly openFiles: number;
  readonly maskedPaths: readonly string[];
}

/** Reads {@link HostFacts}; `patterns` are the profile's masked paths. */
export async function readHostFacts(patterns: readonly string[]): Promise<HostFacts> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return {
    architecture: GO_NAMES[arch()] ?? arch(),
    kernel: release(),
    openFiles: hard === undefined ? Infinity : Number(hard),
    maskedPaths: (await Promise.all(patterns.map(expandPath))).flat(),
  };
}

/** One `*` in one component, matched against the host's directory: sysfs is the same inside. */
async function expandPath(pattern: string): Promise<readonly string[]> {
  const parts = pattern.split('/');
  const at = parts.findIndex((part) => part.includes('*'));
  if (at < 0) return [pattern];
  const parent = parts.slice(0, at).join('/');
  const prefix = parts[at]?.replace('*', '') ?? '';
  const names = await readdir(parent).catch((): string[] => []);
  const numbered = names.filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)));
  const rest = parts.slice(at + 1).join('/');
  const found = await Promise.all(
    numbered.map(async (name) => {
      const path = `${parent}/${name}/${rest}`;
      const siblings = await readdir(dirname(path)).catch((): string[] => []);
      return siblings.includes(basename(path)) ? [path] : [];
    }),
  );
  return found.flat();
}

const GO_NAMES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', ia32: '386', arm: 'arm' };

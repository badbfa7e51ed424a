import { arch, release } from 'node:os';
import { dirname, basename } from 'node:path';
import { namesIn, textOf } from '../base/small-file.ts';

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
export function readHostFacts(patterns: readonly string[]): HostFacts {
  const limits = textOf('/proc/self/limits', '');
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return {
    architecture: GO_NAMES[arch()] ?? arch(),
    kernel: release(),
    openFiles: hard === undefined ? Infinity : Number(hard),
    maskedPaths: patterns.flatMap(expandPath),
  };
}

/** One `*` in one component, matched against the host's directory: sysfs is the same inside. */
function expandPath(pattern: string): readonly string[] {
  const parts = pattern.split('/');
  const at = parts.findIndex((part) => part.includes('*'));
  if (at < 0) return [pattern];
  const parent = parts.slice(0, at).join('/');
  const prefix = parts[at]?.replace('*', '') ?? '';
  const numbered = namesIn(parent).filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)));
  const rest = parts.slice(at + 1).join('/');
  return numbered
    .map((name) => `${parent}/${name}/${rest}`)
    .filter((path) => namesIn(dirname(path)).includes(basename(path)));
}

const GO_NAMES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', ia32: '386', arm: 'arm' };

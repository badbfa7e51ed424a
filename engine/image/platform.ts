import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import type { Platform } from './types.ts';

const PART = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const OS = new Set([
  'linux',
  'windows',
  'darwin',
  'freebsd',
  'netbsd',
  'openbsd',
  'solaris',
  'illumos',
  'aix',
  'android',
  'dragonfly',
  'js',
  'plan9',
  'wasip1',
]);
const ARCHITECTURES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  i386: ['386'],
  i686: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};
/** What a word alone may name (Go's architectures); a platform in full may name any. */
const KNOWN = new Set(
  '386 amd64 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv riscv64 s390x sparc64 wasm'.split(
    ' ',
  ),
);

/**
 * Reads `os`, `os/arch` or `os/arch/variant`, or an architecture alone (then Linux).
 *
 * @throws `PLATFORM_INVALID`
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  const [first = '', second, third] = parts;
  if (parts.length > 3 || !parts.every((part) => PART.test(part))) throw invalidPlatform(text);
  if (second !== undefined)
    return normalizePlatform({ os: first, architecture: second, ...(third === undefined ? {} : { variant: third }) });
  const os = first.toLowerCase();
  if (OS.has(os) || os === 'macos') {
    throw new EngineError('PLATFORM_INVALID', `Cannot use the platform '${text}': it has no architecture`, {
      hint: `Write ${os}/amd64 or ${os}/arm64`,
    });
  }
  const platform = normalizePlatform({ os: 'linux', architecture: first });
  if (KNOWN.has(platform.architecture)) return platform;
  throw new EngineError(
    'PLATFORM_INVALID',
    `Cannot use the platform '${text}': unknown operating system or architecture`,
    {
      hint: 'Write for example linux/amd64',
    },
  );
}

/** `linux/arm/v7`, with Docker's short names. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined || variant === '' ? [] : [variant])].map(escapeControl).join('/');
}

/** One spelling for what is the same: lower case, `aarch64` is `arm64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`, `amd64/v1` is `amd64`. */
export function normalizePlatform(platform: Platform): Platform {
  const { os, architecture, variant, ...rest } = platform;
  const lower = architecture.toLowerCase();
  const [name, implied] = Object.hasOwn(ARCHITECTURES, lower) ? (ARCHITECTURES[lower] ?? [lower]) : [lower];
  const plain = defaultless(name, normalizeVariant(variant) ?? implied);
  return {
    ...rest,
    os: os.toLowerCase() === 'macos' ? 'darwin' : os.toLowerCase(),
    architecture: name,
    ...(plain === undefined ? {} : { variant: plain }),
  };
}

/** True when both name the same machine. */
export function isSamePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}

/** True when both are for one architecture, and no variant that both name differs: `arm64` is asked for, and `arm64/v8` is there. */
export function isSameMachine(a: Platform, b: Platform): boolean {
  const [one, other] = [normalizePlatform(a), normalizePlatform(b)];
  const isVariant = one.variant === undefined || other.variant === undefined || one.variant === other.variant;
  return one.os === other.os && one.architecture === other.architecture && isVariant;
}

function normalizeVariant(variant: string | undefined): string | undefined {
  if (variant === undefined || variant === '') return undefined;
  const lower = variant.toLowerCase();
  return /^[0-9]/.test(lower) ? `v${lower}` : lower;
}

/** Without a variant that is the architecture's default; arm's default is written. */
function defaultless(architecture: string, variant: string | undefined): string | undefined {
  if (architecture === 'arm') return variant ?? 'v7';
  if (architecture === 'arm64' && (variant === 'v8' || variant === 'v8.0')) return undefined;
  return architecture === 'amd64' && variant === 'v1' ? undefined : variant;
}

function invalidPlatform(text: string): EngineError {
  return new EngineError(
    'PLATFORM_INVALID',
    `Cannot use the platform '${escapeControl(text.slice(0, 80))}': it isn't of the form os/architecture[/variant]`,
    {
      hint: 'Write for example linux/amd64, linux/arm64 or linux/arm/v7',
    },
  );
}

import { EngineError } from '../base/errors.ts';
import type { Seccomp, SyscallArgument, SyscallRule } from '../native/protocol.ts';
import type { SeccompTarget } from './seccomp.ts';

type Json = Readonly<Record<string, unknown>>;

/** The names of the filter's conventions, by Go's name of an architecture. */
const NATIVE: Readonly<Record<string, string>> = { amd64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

/**
 * A filter from a profile of `--security-opt seccomp=FILE`, in Docker's form (with `includes` and `excludes`) or the runtime's. Rules for other
 * capabilities, architectures and kernels are left out, as Docker does; only the native architecture is filtered, and calls of any other are
 * refused.
 *
 * @throws `SECCOMP_PROFILE_INVALID` naming the field
 */
export function readSeccompProfile(profile: Json, target: SeccompTarget): Seccomp {
  const defaultAction = text(profile['defaultAction'], 'defaultAction');
  const errno = profile['defaultErrnoRet'];
  checkArchitectures(profile, target);
  return {
    defaultAction,
    ...(errno === undefined ? {} : { defaultErrnoRet: whole(errno, 'defaultErrnoRet') }),
    architectures: [],
    flags: list(profile['flags'], 'flags').map((flag) => text(flag, 'flags')),
    syscalls: list(profile['syscalls'], 'syscalls').flatMap((rule, at) => toRule(rule, `syscalls[${at}]`, target)),
  };
}

function checkArchitectures(profile: Json, { architecture }: SeccompTarget): void {
  const named = list(profile['architectures'], 'architectures').map((name) => text(name, 'architectures'));
  const mapped = list(profile['archMap'], 'archMap').map((entry) =>
    text(object(entry, 'archMap')['architecture'], 'archMap.architecture'),
  );
  const all = [...named, ...mapped];
  const native = NATIVE[architecture];
  if (all.length > 0 && native !== undefined && !all.includes(native)) {
    throw invalid('architectures', `the profile is for ${all.join(', ')}, this machine is ${native}`);
  }
}

function toRule(value: unknown, where: string, target: SeccompTarget): SyscallRule[] {
  const rule = object(value, where);
  if (!holds(rule, where, target)) return [];
  const names = list(rule['names'], `${where}.names`).map((name) => text(name, `${where}.names`));
  const single = rule['name'] === undefined || rule['name'] === '' ? [] : [text(rule['name'], `${where}.name`)];
  if (names.length > 0 && single.length > 0) throw invalid(where, "'name' and 'names' cannot be used together");
  if (names.length + single.length === 0) throw invalid(where, 'it names no system call');
  const errno = rule['errnoRet'];
  return [
    {
      names: [...single, ...names],
      action: text(rule['action'], `${where}.action`),
      ...(errno === undefined || errno === null ? {} : { errnoRet: whole(errno, `${where}.errnoRet`) }),
      args: list(rule['args'], `${where}.args`).map((argument) => toArgument(argument, `${where}.args`)),
    },
  ];
}

/** `includes` must all hold, of `excludes` none. */
function holds(rule: Json, where: string, target: SeccompTarget): boolean {
  const { caps, arches, minKernel } = conditions(rule['includes'], `${where}.includes`);
  const without = conditions(rule['excludes'], `${where}.excludes`);
  if (!caps.every((name) => target.capabilities.includes(name))) return false;
  if (arches.length > 0 && !arches.includes(target.architecture)) return false;
  if (minKernel !== undefined && !atLeast(target.kernel, minKernel)) return false;
  if (without.caps.some((name) => target.capabilities.includes(name))) return false;
  if (without.arches.includes(target.architecture)) return false;
  return without.minKernel === undefined || !atLeast(target.kernel, without.minKernel);
}

interface Conditions {
  readonly caps: readonly string[];
  readonly arches: readonly string[];
  readonly minKernel: string | undefined;
}

function conditions(value: unknown, where: string): Conditions {
  if (value === undefined || value === null) return { caps: [], arches: [], minKernel: undefined };
  const { caps, arches, minKernel } = object(value, where);
  return {
    caps: list(caps, `${where}.caps`).map((name) => text(name, `${where}.caps`)),
    arches: list(arches, `${where}.arches`).map((name) => text(name, `${where}.arches`)),
    minKernel: minKernel === undefined ? undefined : text(minKernel, `${where}.minKernel`),
  };
}

function toArgument(value: unknown, where: string): SyscallArgument {
  const { index, value: first, valueTwo, op } = object(value, where);
  return {
    index: whole(index, `${where}.index`),
    value: whole(first, `${where}.value`),
    valueTwo: valueTwo === undefined ? 0 : whole(valueTwo, `${where}.valueTwo`),
    op: text(op, `${where}.op`),
  };
}

function atLeast(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function object(value: unknown, where: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(where, 'wanted an object');
  // Type: an object of JSON.
  return value as Json;
}

function list(value: unknown, where: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(where, 'wanted a list');
  return value;
}

function text(value: unknown, where: string): string {
  if (typeof value !== 'string' || value === '') throw invalid(where, 'wanted a text');
  return value;
}

function whole(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalid(where, 'wanted a whole number below 2^53');
  }
  return value;
}

function invalid(where: string, why: string): EngineError {
  return new EngineError('SECCOMP_PROFILE_INVALID', `Cannot use the seccomp profile: ${where}: ${why}`);
}

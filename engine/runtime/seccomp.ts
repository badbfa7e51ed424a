import type { Seccomp, SyscallArgument, SyscallRule } from '../native/protocol.ts';
import { ALLOWED, type CallGroup, CONDITIONAL, REFUSED } from './syscalls.ts';

/** What a filter is made for. */
export interface SeccompTarget {
  readonly capabilities: readonly string[];
  /** As Go names it: `amd64`, `arm64`. */
  readonly architecture: string;
  /** Version of the running kernel, `6.8.0-31-generic`. */
  readonly kernel: string;
}

/** The answer to a call that no rule names: "not implemented", so that a C library falls back on an older call. */
export const ENOSYS = 38;
/** The answer to a call that is known and refused. */
export const EPERM = 1;

/**
 * The filter of the default profile for a capability set, an architecture and a kernel (spec/hardening.md 4): an allow list, the native
 * architecture alone, `ENOSYS` by default and `EPERM` for what is refused on purpose. No two rules of a call overlap with different
 * answers, so that their order means nothing.
 */
export function seccompProfile(target: SeccompTarget): Seccomp {
  const groups = [...ALLOWED, ...CONDITIONAL.filter((group) => applies(group, target))];
  const allowed = new Set(groups.filter((group) => !group.args).flatMap((group) => group.names));
  const rules = groups.filter((group) => group.args).map((group) => conditionalRule(group));
  const refused = REFUSED.map((group) => ({ ...group, names: group.names.filter((name) => !allowed.has(name)) }));
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    architectures: [],
    flags: [],
    syscalls: [
      { names: [...allowed].sort(), action: 'SCMP_ACT_ALLOW', args: [] },
      ...rules,
      ...refused.filter((group) => group.names.length > 0).map((group) => refusal(group)),
    ],
  };
}

function applies(group: CallGroup, target: SeccompTarget): boolean {
  const { when } = group;
  if (when?.capability && !target.capabilities.includes(when.capability)) return false;
  if (when?.without && target.capabilities.includes(when.without)) return false;
  if (when?.architectures && !when.architectures.includes(target.architecture)) return false;
  return !when?.kernel || atLeast(target.kernel, when.kernel);
}

function conditionalRule(group: CallGroup): SyscallRule {
  return { names: [...group.names], action: 'SCMP_ACT_ALLOW', args: toArguments(group) };
}

function refusal(group: CallGroup): SyscallRule {
  return {
    names: [...group.names],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: group.errno ?? EPERM,
    args: toArguments(group),
  };
}

function toArguments({ args = [] }: CallGroup): SyscallArgument[] {
  return args.map(({ index, op, value, mask }) =>
    mask === undefined ? { index, op, value, valueTwo: 0 } : { index, op, value: mask, valueTwo: value },
  );
}

function atLeast(version: string, wanted: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(/[.-]/).map(Number);
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
}

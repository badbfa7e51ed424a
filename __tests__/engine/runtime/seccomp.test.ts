import { describe, expect, test } from '@jest/globals';
import type { Seccomp, SyscallRule } from '../../../engine/native/protocol.ts';
import { readSeccompProfile } from '../../../engine/runtime/seccomp-profile.ts';
import { seccompProfile } from '../../../engine/runtime/seccomp.ts';
import { ALLOWED, CONDITIONAL, REFUSED } from '../../../engine/runtime/syscalls.ts';
import { describeVectors, readVectors } from '../../helpers/vectors.ts';

const target = { capabilities: ['CAP_CHOWN'], architecture: 'amd64', kernel: '6.8.0' };

/** What the filter answers to a call: 0 when it is allowed, else the error number. */
function answer(profile: Seccomp, name: string, args: readonly number[] = []): number {
  const hits = profile.syscalls.filter(
    (rule) => rule.names.includes(name) && rule.args.every((arg) => holds(arg, args)),
  );
  const answers = new Set(hits.map((rule) => (rule.action === 'SCMP_ACT_ALLOW' ? 0 : (rule.errnoRet ?? -1))));
  expect([...answers].length).toBeLessThanOrEqual(1);
  return [...answers][0] ?? profile.defaultErrnoRet ?? -1;
}

function holds(arg: SyscallRule['args'][number], args: readonly number[]): boolean {
  const given = BigInt(args[arg.index] ?? 0);
  const value = BigInt(arg.value);
  switch (arg.op) {
    case 'SCMP_CMP_EQ':
      return given === value;
    case 'SCMP_CMP_LT':
      return given < value;
    case 'SCMP_CMP_GT':
      return given > value;
    case 'SCMP_CMP_MASKED_EQ':
      return (given & value) === BigInt(arg.valueTwo);
    default:
      throw new Error(`unexpected operator ${arg.op}`);
  }
}

describe('seccompProfile', () => {
  const profile = seccompProfile(target);

  test('answers ENOSYS to a call that nobody knows, and to clone3 and io_uring, so that libraries fall back', () => {
    for (const name of ['brand_new_call', 'clone3', 'io_uring_setup', 'socketcall'])
      expect(answer(profile, name)).toBe(38);
  });

  test('answers EPERM to administrator calls without their capability', () => {
    for (const name of ['mount', 'unshare', 'setns', 'bpf', 'reboot', 'keyctl', 'kexec_load', 'userfaultfd']) {
      expect(answer(profile, name)).toBe(1);
    }
  });

  test('allows clone for threads and refuses every kind of new namespace', () => {
    expect(answer(profile, 'clone', [0x3d0f00])).toBe(0);
    for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]) {
      expect(answer(profile, 'clone', [flag | 17])).toBe(1);
    }
  });

  test('refuses sockets of ALG and VSOCK and no other family', () => {
    for (const family of [38, 40]) expect(answer(profile, 'socket', [family])).toBe(1);
    for (const family of [1, 2, 10, 16, 17, 37, 39, 41, 44]) expect(answer(profile, 'socket', [family])).toBe(0);
  });

  test('allows what a capability brings, and then refuses none of it', () => {
    const admin = seccompProfile({ ...target, capabilities: ['CAP_SYS_ADMIN'] });
    for (const name of ['mount', 'unshare', 'clone3']) expect(answer(admin, name)).toBe(0);
    expect(answer(admin, 'clone', [0x20000])).toBe(0);
  });

  test('lets an old kernel trace nothing, since there a tracer steps around the filter', () => {
    expect(answer(seccompProfile({ ...target, kernel: '4.4.0' }), 'ptrace')).toBe(38);
    expect(answer(profile, 'ptrace')).toBe(0);
  });

  test('is for the native architecture alone', () => {
    expect(profile.architectures).toEqual([]);
  });

  test('gives each group a reason and names no call twice among those always allowed', () => {
    for (const group of [...ALLOWED, ...CONDITIONAL, ...REFUSED]) expect(group.reason.length).toBeGreaterThan(10);
    const names = ALLOWED.flatMap((group) => group.names);
    expect(new Set(names).size).toBe(names.length);
  });
});

interface Decision {
  readonly name: string;
  readonly arch: string;
  readonly capabilities: readonly string[];
  readonly kernel: string;
  readonly allowed: readonly string[];
  readonly conditional: readonly Conditional[];
  readonly errno: Readonly<Record<string, number>>;
}
interface Conditional {
  readonly syscall: string;
  readonly any_of: readonly (readonly Condition[])[];
}
interface Condition {
  readonly index: number;
  readonly operator: '==' | '<' | '>' | 'masked ==';
  readonly value: number;
  readonly mask?: number;
}
interface Rule {
  readonly syscall: string;
  readonly action: 'allow' | 'errno';
  readonly errno?: number;
  readonly arguments?: readonly Condition[];
  readonly when?: {
    readonly only_arches?: readonly string[];
    readonly not_arches?: readonly string[];
    readonly only_with_all_of?: readonly string[];
    readonly not_with_any_of?: readonly string[];
    readonly min_kernel?: string;
  };
}

const OPERATORS = {
  '==': 'SCMP_CMP_EQ',
  '<': 'SCMP_CMP_LT',
  '>': 'SCMP_CMP_GT',
  'masked ==': 'SCMP_CMP_MASKED_EQ',
} as const;

/** A condition in the runtime specification's form. */
function toArgument({ index, operator, value, mask }: Condition): SyscallRule['args'][number] {
  const op = OPERATORS[operator];
  return mask === undefined ? { index, op, value, valueTwo: 0 } : { index, op, value: mask, valueTwo: value };
}

/** The rules as a profile in the form of Docker's own file. */
function asProfile(rules: readonly Rule[], rest: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return {
    ...rest,
    syscalls: rules.map(({ syscall, action, errno, arguments: args = [], when = {} }) => ({
      names: [syscall],
      action: action === 'allow' ? 'SCMP_ACT_ALLOW' : 'SCMP_ACT_ERRNO',
      ...(errno === undefined ? {} : { errnoRet: errno }),
      args: args.map(toArgument),
      includes: {
        ...(when.only_arches ? { arches: when.only_arches } : {}),
        ...(when.only_with_all_of ? { caps: when.only_with_all_of } : {}),
        ...(when.min_kernel ? { minKernel: when.min_kernel } : {}),
      },
      excludes: {
        ...(when.not_arches ? { arches: when.not_arches } : {}),
        ...(when.not_with_any_of ? { caps: when.not_with_any_of } : {}),
      },
    })),
  };
}

describeVectors('seccomp', () => {
  const { cases } = readVectors<{ readonly cases: readonly Decision[] }>('seccomp', 'decisions.json');
  // Left out on purpose: the multiplexer of 32-bit x86, by which the socket families could be reached.
  const ours = (names: readonly string[]): readonly string[] => names.filter((name) => name !== 'socketcall').sort();

  test.each(cases)(
    'allows what the reference profile allows: $name',
    ({ arch, capabilities, kernel, allowed, errno }) => {
      const profile = seccompProfile({ capabilities, architecture: arch, kernel });
      const always = profile.syscalls.filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args.length === 0);
      expect(always.flatMap((rule) => rule.names).sort()).toEqual(ours(allowed));
      for (const [name, number] of Object.entries(errno)) expect(answer(profile, name)).toBe(number);
    },
  );

  const conditionsOf = (profile: Seccomp): ReadonlyMap<string, readonly string[]> => {
    const found = new Map<string, string[]>();
    for (const { names, action, args } of profile.syscalls) {
      if (action !== 'SCMP_ACT_ALLOW' || args.length === 0) continue;
      for (const name of names) found.set(name, [...(found.get(name) ?? []), JSON.stringify(args)].sort());
    }
    return found;
  };

  test.each(cases)('has the same conditions: $name', ({ arch, capabilities, kernel, conditional }) => {
    const wanted = conditional.map(
      ({ syscall, any_of: alternatives }) =>
        [syscall, alternatives.map((all) => JSON.stringify(all.map(toArgument))).sort()] as const,
    );
    const ours = conditionsOf(seccompProfile({ capabilities, architecture: arch, kernel }));
    expect(ours).toEqual(new Map(wanted));
  });

  const { rules } = readVectors<{ readonly rules: readonly Rule[] }>('seccomp', 'rules.json');

  test.each(cases)("reads a profile of Docker's form to the same decisions: $name", (decision) => {
    const { arch, capabilities, kernel, allowed, errno, conditional } = decision;
    const target = { capabilities, architecture: arch, kernel };
    const profile = readSeccompProfile(
      asProfile(rules, { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1 }),
      target,
    );
    const always = profile.syscalls.filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args.length === 0);
    expect([...new Set(always.flatMap((rule) => rule.names))].sort()).toEqual([...allowed].sort());
    // A call that is always allowed may have conditions in another group: any allowing rule is enough.
    const conditions = [...conditionsOf(profile)].filter(([name]) => !allowed.includes(name));
    expect(conditions.map(([name]) => name).sort()).toEqual(conditional.map(({ syscall }) => syscall).sort());
    for (const [name, number] of Object.entries(errno)) expect(answer(profile, name)).toBe(number);
  });

  test('names every call that the reference names, or leaves it to the default for a reason', () => {
    const known = new Set([...ALLOWED, ...CONDITIONAL, ...REFUSED].flatMap(({ names }) => names));
    const native = rules.filter(({ when }) => !when?.only_arches || when.only_arches.some((arch) => /64$/.test(arch)));
    const unknown = new Set(native.map(({ syscall }) => syscall).filter((name) => !known.has(name)));
    // The multiplexer of 32-bit x86, and calls of PowerPC and RISC-V: none reaches a filter for the native architecture alone.
    for (const name of ['socketcall', 'swapcontext', 'sync_file_range2', 'riscv_flush_icache']) unknown.delete(name);
    expect([...unknown]).toEqual([]);
  });
});

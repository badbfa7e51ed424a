import { describe, expect, test } from '@jest/globals';
import type { Seccomp, SyscallRule } from '../../../engine/native/protocol.ts';
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
  readonly conditional:
    Readonly<Record<string, { readonly any_of: readonly (readonly Condition[])[] }>> | readonly Conditional[];
  readonly errno: Readonly<Record<string, number>>;
}
interface Conditional {
  readonly syscall: string;
}
interface Condition {
  readonly index: number;
  readonly operator: string;
  readonly value: number;
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

  test.each(cases)('has conditions for the same calls: $name', ({ arch, capabilities, kernel, conditional }) => {
    const profile = seccompProfile({ capabilities, architecture: arch, kernel });
    const names = profile.syscalls
      .filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args.length > 0)
      .flatMap((rule) => rule.names);
    const wanted = Array.isArray(conditional)
      ? conditional.map(({ syscall }: Conditional) => syscall)
      : Object.keys(conditional);
    expect([...new Set(names)].sort()).toEqual([...wanted].sort());
  });
});

import { describe, expect, test } from '@jest/globals';
import { readSeccompProfile } from '../../../engine/runtime/seccomp-profile.ts';

const target = { capabilities: ['CAP_CHOWN'], architecture: 'amd64', kernel: '6.8.0-31-generic' };
const rule = { names: ['read'], action: 'SCMP_ACT_ALLOW' };

describe('readSeccompProfile', () => {
  test('keeps rules for this machine and these capabilities, and leaves the others out', () => {
    const { syscalls } = readSeccompProfile(
      {
        defaultAction: 'SCMP_ACT_ERRNO',
        archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
        syscalls: [
          rule,
          { ...rule, names: ['one'], includes: { caps: ['CAP_SYS_ADMIN'] } },
          { ...rule, names: ['two'], excludes: { caps: ['CAP_CHOWN'] } },
          { ...rule, names: ['three'], includes: { arches: ['arm64'] } },
          { ...rule, names: ['four'], includes: { minKernel: '6.9' } },
          { ...rule, names: ['five'], includes: { minKernel: '4.8' }, excludes: { arches: ['s390'] } },
          { name: 'six', action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
        ],
      },
      target,
    );
    expect(syscalls.flatMap(({ names }) => names)).toEqual(['read', 'five', 'six']);
  });

  test.each([
    [{}, 'defaultAction'],
    [{ defaultAction: 'SCMP_ACT_ERRNO', syscalls: {} }, 'syscalls'],
    [{ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ action: 'SCMP_ACT_ALLOW' }] }, 'it names no system call'],
    [{ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...rule, name: 'x' }] }, "'name' and 'names'"],
    [{ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...rule, args: [{ index: -1 }] }] }, 'args.index'],
    [{ defaultAction: 'SCMP_ACT_ERRNO', architectures: ['SCMP_ARCH_ARM'] }, 'this machine is SCMP_ARCH_X86_64'],
  ])('refuses %j and names the field', (profile, message) => {
    expect(() => readSeccompProfile(profile, target)).toThrow(message);
  });
});

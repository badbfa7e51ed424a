import { expect, test } from '@jest/globals';
import { CAPABILITIES, RUN_CAPABILITIES } from '../../../engine/runtime/capabilities.ts';
import { readHostFacts } from '../../../engine/runtime/host.ts';
import { checkTracing, rightsOf } from '../../../engine/runtime/rights.ts';
import type { SpecTarget } from '../../../engine/runtime/spec.ts';

function target(kind: 'root' | 'full', ownProc: boolean): SpecTarget {
  return {
    idMap: kind === 'root' ? { kind } : { kind, uidCount: 65536, gidCount: 65536 },
    probe: { cgroup: { mode: 'v2', controllers: [] }, seccomp: true, ownProc },
    host: readHostFacts([]),
  };
}

test.each([
  [['SYS_PTRACE'], '--cap-add SYS_PTRACE', 'leave out --cap-add SYS_PTRACE, or run where'],
  [['CHOWN', 'cap_sys_ptrace'], '--cap-add cap_sys_ptrace', 'leave out --cap-add cap_sys_ptrace, or run where'],
  [['ALL'], '--cap-add ALL', 'add --cap-drop SYS_PTRACE, or run where'],
])('where the /proc is that of the machine %j is refused', (capAdd, flag, hint) => {
  expect(() => rightsOf({ capAdd }, target('full', false))).toThrow(
    expect.objectContaining({
      code: 'RUNG_REFUSED',
      message: `Cannot use ${flag}: with SYS_PTRACE a container would reach processes outside of it, as it sees the /proc of this machine`,
      hint: expect.stringMatching(new RegExp(`^${hint}`)),
    }),
  );
  for (const other of [target('full', true), target('root', false)]) {
    expect(rightsOf({ capAdd }, other).capabilities).toContain('CAP_SYS_PTRACE');
  }
});

test('what the hint says is taken, and what has no such right', () => {
  const given = rightsOf({ capAdd: ['ALL'], capDrop: ['SYS_PTRACE'] }, target('full', false)).capabilities;
  expect(given).toEqual(CAPABILITIES.filter((name) => name !== 'CAP_SYS_PTRACE'));
  expect(rightsOf({}, target('full', false)).capabilities).toHaveLength(RUN_CAPABILITIES.length);
});

test('a further process with all rights is refused there', () => {
  expect(() => checkTracing(CAPABILITIES, '--privileged', target('full', false))).toThrow(/^Cannot use --privileged: /);
  expect(() => checkTracing(CAPABILITIES, '--privileged', target('full', true))).not.toThrow();
});

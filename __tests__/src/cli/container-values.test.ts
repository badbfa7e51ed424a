import { describe, expect, test } from '@jest/globals';
import { findDetach, parseDetachKeys } from '../../../src/cli/values/detach-keys.ts';
import { parseDevice } from '../../../src/cli/values/device.ts';
import { parseRestart } from '../../../src/cli/values/restart.ts';
import { parseSecurity } from '../../../src/cli/values/security.ts';

describe('parseRestart', () => {
  test.each([
    ['no', 'no', 0],
    ['', 'no', 0],
    ['on-failure', 'on-failure', 0],
    ['on-failure:5', 'on-failure', 5],
    ['always', 'always', 0],
    ['unless-stopped', 'unless-stopped', 0],
  ])('reads "%s"', (text, policy, maxRetries) => {
    expect(parseRestart(text)).toEqual({ policy, maxRetries });
  });

  test.each(['sometimes', 'on-failure:', 'on-failure:x', 'always:2', 'on-failure:1:2', 'on-failure:-1'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseRestart(text)).toThrow('invalid restart policy');
    },
  );
});

describe('detach keys', () => {
  test('are single characters and ctrl-something', () => {
    expect([...parseDetachKeys('ctrl-p,ctrl-q')]).toEqual([16, 17]);
    expect([...parseDetachKeys('a,ctrl-@,ctrl-\\')]).toEqual([97, 0, 28]);
    for (const text of ['ctrl-', 'ab', '', 'ctrl-1', 'ctrl-p,,a'])
      expect(() => parseDetachKeys(text)).toThrow('Unknown');
  });

  test('are found across chunks, and what only began like them is given back', () => {
    const find = findDetach(parseDetachKeys('ctrl-p,ctrl-q'));
    const feed = (...bytes: number[]): unknown => {
      const { bytes: rest, detached } = find(Uint8Array.from(bytes));
      return [[...rest], detached];
    };
    expect(feed(97, 16)).toEqual([[97], false]);
    expect(feed(98)).toEqual([[16, 98], false]);
    expect(feed(16, 16)).toEqual([[16], false]);
    expect(feed(17, 99)).toEqual([[], true]);
  });
});

describe('parseDevice', () => {
  test.each([
    ['/dev/fuse', { hostPath: '/dev/fuse', path: '/dev/fuse', access: 'rwm' }],
    ['/dev/fuse:r', { hostPath: '/dev/fuse', path: '/dev/fuse', access: 'r' }],
    ['/dev/a:/dev/b', { hostPath: '/dev/a', path: '/dev/b', access: 'rwm' }],
    ['/dev/a:/dev/b:rw', { hostPath: '/dev/a', path: '/dev/b', access: 'rw' }],
    ['nvidia.com/gpu=all', 'nvidia.com/gpu=all'],
  ])('reads %s', (text, device) => {
    expect(parseDevice(text)).toEqual(device);
  });

  test.each([
    ['nvidia.com/gpu=', 'is not an absolute path'],
    ['/dev/a:/dev/b:x', 'bad mode specified'],
    ['/dev/a:/dev/b:r:w', 'bad format for path'],
    ['', 'bad format for path'],
  ])('refuses "%s"', (text, message) => {
    expect(() => parseDevice(text)).toThrow(message);
  });
});

describe('parseSecurity', () => {
  test.each([
    ['no-new-privileges', { noNewPrivileges: true }],
    ['no-new-privileges:false', { noNewPrivileges: false }],
    ['no-new-privileges=true', { noNewPrivileges: true }],
    ['seccomp=unconfined', { seccomp: 'unconfined' }],
    ['seccomp=builtin', { seccomp: undefined }],
    ['systempaths=unconfined', { systemPathsUnconfined: true }],
    ['apparmor=unconfined', {}],
    ['label=disable', {}],
  ])('reads %s', (text, options) => {
    expect(parseSecurity(text, '/')).toEqual(options);
  });

  test.each([
    ['seccomp=/no/such/file', 'opening seccomp profile (/no/such/file) failed'],
    ['apparmor=docker-default', 'no AppArmor profile'],
    ['label=type:x', 'no SELinux label'],
    ['no-new-privileges:maybe', 'wanted true or false'],
    ['seccomp', 'Invalid --security-opt'],
    ['magic=1', 'Invalid --security-opt'],
  ])('refuses %s', (text, message) => {
    expect(() => parseSecurity(text, '/')).toThrow(message);
  });
});

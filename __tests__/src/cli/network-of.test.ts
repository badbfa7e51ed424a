import { expect, test } from '@jest/globals';
import type { EngineInfo } from '../../../engine/index.ts';
import { networkOf } from '../../../src/cli/commands/system.ts';

/** What the probe finds on a rung with a user namespace. */
const probe: EngineInfo['probe'] = {
  protocol: 1,
  kernel: '6.1',
  uid: 0,
  rungs: [],
  cgroup: { mode: 'v2', controllers: [] },
  seccomp: true,
  fileSystem: 'ext4',
  network: { bridge: false, reason: 'only rung root can', hint: null },
  ownProc: true,
};

test.each([
  [{ pasta: '/usr/bin/pasta', hasTun: true }, /^loopback, published ports, and a way out by \/usr\/bin\/pasta;/],
  [
    { pasta: '/usr/bin/pasta', hasTun: false },
    /, no way out: only rung root can; pasta needs \/dev\/net\/tun: modprobe/,
  ],
  [{ hasTun: true }, /, no way out: only rung root can; install pasta for one/],
])('with %j info says of a network without bridges what there is of a way out', (found, said) => {
  expect(networkOf({ probe, rung: 'userns-full', ...found })).toMatch(said);
});

import { expect, test } from '@jest/globals';
import type { RunSpec } from '../../../engine/engine.ts';
import type { IdMap } from '../../../engine/native/protocol.ts';
import { checkAnnotations } from '../../../engine/runtime/annotations.ts';
import { planDevices, type PlannedDevices } from '../../../engine/runtime/plan-devices.ts';

const SUB: IdMap = {
  kind: 'sub',
  firstUid: 100000,
  uidCount: 65536,
  firstGid: 100000,
  gidCount: 65536,
  newuidmap: '',
  newgidmap: '',
};
const identity = { uid: 0, gid: 0, additionalGids: [], home: '/root' };

async function planned(spec: Partial<RunSpec>, idMap: IdMap): Promise<PlannedDevices> {
  const connection = { helper: { idMap }, cdi: undefined };
  return await planDevices(connection, { image: 'any', ...spec }, { identity, env: [] });
}

const NULL = { hostPath: '/dev/null', path: '/dev/null' };

test.each([
  [{ devices: [{ ...NULL, access: 'r' }] }, 'access r to /dev/null'],
  [{ devices: [{ ...NULL, access: 'wm' }] }, 'access wm to /dev/null'],
  [{ deviceRules: [{ type: 'c' as const, major: 1, minor: 3, access: 'rwm' }] }, '--device-cgroup-rule'],
])('in a user namespace %j is refused, and on rung root it is a rule', async (spec, what) => {
  await expect(planned(spec, SUB)).rejects.toMatchObject({
    code: 'RUNG_REFUSED',
    message: `Cannot use ${what}: rung userns keeps a container to no device rules`,
  });
  expect((await planned(spec, { kind: 'root' })).rules).toHaveLength(1);
});

test('in a user namespace a device to read and write is given', async () => {
  const { nodes } = await planned({ devices: [{ ...NULL, access: 'rw' }] }, SUB);
  expect(nodes).toMatchObject([{ path: '/dev/null', major: 1, minor: 3 }]);
});

test('annotations that speak to the helper are refused by name', () => {
  expect(() => checkAnnotations({ 'org.example': '1', 'berth.volumes': 'mine' })).toThrow(
    'Cannot set annotation berth.volumes: names that start with berth. are taken',
  );
  expect(() => checkAnnotations({ 'org.berth.volumes': 'mine' })).not.toThrow();
});

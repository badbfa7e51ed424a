import { expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    message: `Cannot use ${what}: a user namespace keeps a container to no device rules`,
  });
  expect((await planned(spec, { kind: 'root' })).rules).toHaveLength(1);
});

test('who is root on rung userns-full is not told to be', async () => {
  const full: IdMap = { kind: 'full', uidCount: 65536, gidCount: 65536 };
  await expect(planned({ devices: [{ ...NULL, access: 'r' }] }, full)).rejects.toMatchObject({
    hint: expect.stringMatching(/^give the device with rw; else it takes rung root: berth info says/),
  });
});

test('in a user namespace a device to read and write is given', async () => {
  const { nodes } = await planned({ devices: [{ ...NULL, access: 'rw' }] }, SUB);
  expect(nodes).toMatchObject([{ path: '/dev/null', major: 1, minor: 3 }]);
});

test.each([
  [[], []],
  [['NVIDIA_VISIBLE_DEVICES='], []],
  [['NVIDIA_VISIBLE_DEVICES=void'], []],
  [['NVIDIA_VISIBLE_DEVICES=none'], []],
  [['NVIDIA_VISIBLE_DEVICES=all'], ['CARD=0', 'CARD=1']],
  [['NVIDIA_VISIBLE_DEVICES=1'], ['CARD=1']],
  [['NVIDIA_VISIBLE_DEVICES=0, 1'], ['CARD=0', 'CARD=1']],
])('--runtime nvidia gives the cards that %j names, and --gpus goes before it', async (env, given) => {
  const card = (name: string, ...numbers: readonly string[]): unknown => ({
    name,
    containerEdits: { env: numbers.map((number) => `CARD=${number}`) },
  });
  const devices = [card('0', '0'), card('1', '1'), card('all', '0', '1')];
  const folder = await mkdtemp(join(tmpdir(), 'berth-cards-'));
  try {
    await writeFile(join(folder, 'n.json'), JSON.stringify({ cdiVersion: '0.6.0', kind: 'nvidia.com/gpu', devices }));
    const plan = async (spec: Partial<RunSpec>): Promise<readonly string[]> =>
      (
        await planDevices(
          { helper: { idMap: { kind: 'root' } }, cdi: [folder] },
          { image: 'any', ...spec },
          { identity, env },
        )
      ).env;
    expect(await plan({ runtime: 'nvidia' })).toEqual(given);
    expect(await plan({ runtime: 'runc' })).toEqual([]);
    const first = { count: 0, devices: ['0'], capabilities: ['gpu'] };
    expect(await plan({ runtime: 'nvidia', gpus: [first] })).toEqual(['CARD=0']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('annotations that speak to the helper are refused by name', () => {
  expect(() => checkAnnotations({ 'org.example': '1', 'berth.volumes': 'mine' })).toThrow(
    'Cannot set annotation berth.volumes: names that start with berth. are taken',
  );
  expect(() => checkAnnotations({ 'org.berth.volumes': 'mine' })).not.toThrow();
});

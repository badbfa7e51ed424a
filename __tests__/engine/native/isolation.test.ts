import { describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fallNote, fallWarning } from '../../../engine/fall.ts';
import { chooseIsolation, createLauncher, idMapName } from '../../../engine/native/index.ts';
import type { IdMap, RungName } from '../../../engine/native/protocol.ts';
import { findSubordinateIds, parseSubordinateIds } from '../../../engine/native/subid.ts';
import { scriptedHelper } from '../../helpers/scripted-helper.ts';

const store = { root: '/nowhere', uid: 0, gid: 0 };

const ID_MAPS: Readonly<Partial<Record<RungName, IdMap>>> = {
  root: { kind: 'root' },
  'userns-full': { kind: 'full', uidCount: 4294967295, gidCount: 4294967295 },
  userns: { kind: 'sub', firstUid: 100000, uidCount: 65536, firstGid: 100000, gidCount: 65536, newuidmap: '/usr/bin/newuidmap', newgidmap: '/usr/bin/newgidmap' },
};

/** A helper whose probe finds these rungs; the others fail with a reason and a hint. */
async function probing(
  possible: readonly RungName[],
  uid = 1001,
  { lacking, idMaps = ID_MAPS }: { readonly lacking?: RungName; readonly idMaps?: typeof ID_MAPS } = {},
): Promise<string> {
  const names: readonly RungName[] = ['root', 'userns-full', 'userns', 'userns-single', 'chroot'];
  const rungs = names.map((name) => ({
    name,
    possible: possible.includes(name),
    reason: possible.includes(name) ? null : `mount: EPERM for ${name}`,
    hint: possible.includes(name) ? null : `switch on ${name}`,
    idMap: (possible.includes(name) && idMaps[name]) || null,
    lacksDeviceRules: name === lacking,
  }));
  const result = { protocol: 1, kernel: '6.1', uid, rungs, cgroup: { mode: 'v2', controllers: [] }, seccomp: true, fileSystem: 'ext4', ownProc: true };
  return await scriptedHelper(`readRequest(); untilEnd(); say(${JSON.stringify({ reply: { op: 'probe', result } })});`);
}

describe('chooseIsolation', () => {
  test('takes root directly where it holds, and does not ask sudo', async () => {
    const sudo = await scriptedHelper(`process.exit(1)`);
    const launcher = createLauncher({ path: await probing(['root', 'userns']) }, sudo);
    expect(await chooseIsolation('auto', { launcher, store })).toMatchObject({ rung: 'root', elevation: 'direct', idMap: { kind: 'root' } });
  });

  test('takes root through sudo where the user has none', async () => {
    const launcher = createLauncher({ path: await probing(['userns']) }, await probing(['root']));
    expect(await chooseIsolation('auto', { launcher, store })).toMatchObject({ rung: 'root', elevation: 'sudo', idMap: { kind: 'root' } });
  });

  test('takes userns-full in a pod whose root has no SYS_ADMIN, and asks no sudo there', async () => {
    const sudo = await scriptedHelper(`process.exit(1)`);
    const launcher = createLauncher({ path: await probing(['userns-full', 'userns'], 0) }, sudo);
    const found = await chooseIsolation('auto', { launcher, store });
    expect(found).toMatchObject({ rung: 'userns-full', elevation: 'direct', idMap: ID_MAPS['userns-full'] });
  });

  test('says what stood in the way of root where another rung of root is taken, and no more where one was asked for', async () => {
    const reason = 'mount: EPERM for root';
    const launcher = createLauncher({ path: await probing(['userns-full', 'userns'], 0) });
    const found = await chooseIsolation('auto', { launcher, store });
    expect(found.instead).toEqual({ reason, isOfDevices: false });
    expect(fallNote(found)).toBe('isolation is userns-full, as root is not possible here: mount: EPERM for root');
    expect(fallWarning(found)).toBeUndefined();
    const sudo = await probing(['userns-full'], 0, { lacking: 'root' });
    const lacking = await chooseIsolation('auto', { launcher: createLauncher({ path: await probing(['userns']) }, sudo), store });
    expect(lacking.instead).toEqual({ reason, isOfDevices: true });
    expect(fallWarning(lacking)).toBe(fallNote(found));
    const forced = await chooseIsolation('userns-full', { launcher, store });
    const weaker = await chooseIsolation('auto', { launcher: createLauncher({ path: await probing(['userns']) }), store });
    for (const one of [forced, weaker]) expect([one.instead, fallNote(one)]).toEqual([undefined, undefined]);
  });

  test('takes no rung for which the helper names no ids', async () => {
    const without = await probing(['userns-full'], 0, { idMaps: {} });
    await expect(chooseIsolation('auto', { launcher: createLauncher({ path: without }), store })).rejects.toThrow('names no ids for it');
  });

  test('takes userns-full through sudo before userns directly', async () => {
    const launcher = createLauncher({ path: await probing(['userns']) }, await probing(['userns-full'], 0));
    const found = await chooseIsolation('auto', { launcher, store });
    expect(found).toMatchObject({ rung: 'userns-full', elevation: 'sudo', idMap: ID_MAPS['userns-full'] });
  });

  test('takes userns where sudo gives a root that can use none of its rungs', async () => {
    const launcher = createLauncher({ path: await probing(['userns']) }, await probing([], 0));
    expect(await chooseIsolation('auto', { launcher, store })).toMatchObject({ rung: 'userns', elevation: 'direct' });
  });

  test('says of a forced userns-full what sudo found, with the hint of that', async () => {
    const launcher = createLauncher({ path: await probing(['userns']) }, await probing([], 0));
    await expect(chooseIsolation('userns-full', { launcher, store })).rejects.toMatchObject({
      code: 'ISOLATION_IMPOSSIBLE',
      message: expect.stringMatching(/userns-full: mount: EPERM for userns-full; userns-full through sudo: mount: EPERM/),
      hint: 'switch on userns-full',
    });
  });

  test('takes userns where sudo wants a password', async () => {
    const sudo = await scriptedHelper(`say('sudo: a password is required'); process.exit(1);`);
    const launcher = createLauncher({ path: await probing(['userns']) }, sudo);
    const found = await chooseIsolation('auto', { launcher, store });
    expect(found).toMatchObject({ rung: 'userns', elevation: 'direct', idMap: { kind: 'sub', firstUid: 100000 } });
  });

  test('takes the forced rung, although a stronger one holds', async () => {
    const launcher = createLauncher({ path: await probing(['root', 'userns']) });
    expect(await chooseIsolation('userns', { launcher, store })).toMatchObject({ rung: 'userns' });
  });

  test('says why a forced rung is not possible, what sudo said, and what to change', async () => {
    const sudo = await scriptedHelper(`say('sudo: a password is required'); process.exit(1);`);
    const launcher = createLauncher({ path: await probing(['userns']) }, sudo);
    await expect(chooseIsolation('root', { launcher, store })).rejects.toMatchObject({
      code: 'ISOLATION_IMPOSSIBLE',
      message: expect.stringMatching(/Cannot use isolation root: root: mount: EPERM for root; root through sudo: .*a password is required/),
      hint: 'switch on root',
    });
  });

  test('names each switch when no rung holds', async () => {
    const launcher = createLauncher({ path: await probing([]) });
    await expect(chooseIsolation('auto', { launcher, store })).rejects.toMatchObject({
      code: 'ISOLATION_IMPOSSIBLE',
      hint: 'switch on root; switch on userns-full; switch on userns',
    });
  });

  test('refuses a rung that is not built yet, naming those that are', async () => {
    const launcher = createLauncher({ path: await probing(['chroot']) });
    await expect(chooseIsolation('chroot', { launcher, store })).rejects.toMatchObject({
      code: 'ISOLATION_UNSUPPORTED',
      message: 'Cannot use isolation chroot: this rung is not built yet',
      hint: expect.stringContaining('BERTH_ISOLATION'),
    });
  });
});

describe('idMapName', () => {
  test('is another for every map, so that no rung reads the snapshots of another', () => {
    const maps: readonly IdMap[] = [
      ...Object.values(ID_MAPS),
      { kind: 'full', uidCount: 65536, gidCount: 65536 },
    ];
    expect(maps.map(idMapName)).toEqual(['root', 'full-4294967295', 'sub-100000-65536', 'full-65536']);
  });
});

describe('parseSubordinateIds', () => {
  const user = { name: 'ann', uid: 1001 };

  test('takes the largest range of the user, by name or number', () => {
    const text = 'bob:500000:65536\nann:100000:1000\n1001:200000:65536\n';
    expect(parseSubordinateIds(text, user)).toEqual({ first: 200000, count: 65536 });
  });

  test.each([
    ['nothing', ''],
    ['another user', 'bob:100000:65536\n'],
    ['a name that only begins alike', 'anna:100000:65536\n'],
    ['no numbers', 'ann:a:b\n'],
    ['an empty range', 'ann:100000:0\n'],
    ['a range beyond all ids', 'ann:4294967000:65536\n'],
    ['a comment', '# ann:100000:65536\n'],
  ])('finds none in %s', (_what, text) => {
    expect(parseSubordinateIds(text, user)).toBeUndefined();
  });
});

describe('findSubordinateIds', () => {
  test('names the file that has no range for this user', async () => {
    const etc = await mkdtemp(join(tmpdir(), 'berth-etc-'));
    try {
      expect(await findSubordinateIds(etc)).toEqual({ missing: `${etc}/subuid has no range for this user` });
      await writeFile(join(etc, 'subuid'), `${process.getuid?.() ?? 0}:100000:65536\n`);
      expect(await findSubordinateIds(etc)).toEqual({ missing: `${etc}/subgid has no range for this user` });
    } finally {
      await rm(etc, { recursive: true });
    }
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFacts } from '../../../engine/native/facts.ts';
import { createHelper, createLauncher, createMachineProbe, type Isolation } from '../../../engine/native/index.ts';
import { createMemory } from '../../../engine/native/memory.ts';
import { scriptedHelper } from '../../helpers/scripted-helper.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-machine-'));
  await mkdir(join(root, 'run'));
});
afterEach(() => rm(root, { recursive: true, force: true }));
const fileOf = (): string => join(root, 'run/machine.json');

/** A reply to `probe`; `root` says whether that rung holds. */
function replyOf(isRoot: boolean): object {
  const rung = { name: 'root', possible: isRoot, reason: isRoot ? null : 'no', hint: null, idMap: { kind: 'root' } };
  const network = { bridge: true, reason: null, hint: null };
  return {
    reply: {
      op: 'probe',
      result: {
        protocol: 1,
        kernel: '6.1',
        uid: 0,
        rungs: [rung],
        cgroup: { mode: 'v2', controllers: [] },
        seccomp: true,
        fileSystem: 'ext4',
        network,
      },
    },
  };
}

/** A helper that writes down its operations; `state` fails as `failure` says, and `probe` finds root unless the file `gone` is there. */
async function machineOf(failure: string): Promise<ReturnType<typeof createMachineProbe> & { calls: () => Promise<string[]> } & Parts> {
  const log = join(root, 'log');
  const helper = await scriptedHelper(`
    readRequest(); untilEnd();
    fs.appendFileSync(${JSON.stringify(log)}, process.argv[2] + '\\n');
    if (process.argv[2] === 'state') say({ failure: { code: ${JSON.stringify(failure)}, step: 'look', message: 'no' } });
    else say(fs.existsSync(${JSON.stringify(join(root, 'gone'))}) ? ${JSON.stringify(replyOf(false))} : ${JSON.stringify(replyOf(true))});`);
  const launcher = createLauncher({ path: helper });
  const store = { root, uid: process.getuid?.() ?? 0, gid: 0 };
  const again = (): ReturnType<typeof createMachineProbe> =>
    createMachineProbe({ isolation: 'root', helper }, { launcher, store });
  const helperOf = (isolation: Isolation): ReturnType<typeof createHelper> => createHelper(launcher, { store, ...isolation });
  const calls = async (): Promise<string[]> => (await readFile(log, 'utf8').catch(() => '')).split('\n').filter(Boolean);
  return { ...again(), again, helperOf, calls };
}

interface Parts {
  readonly again: () => ReturnType<typeof createMachineProbe>;
  readonly helperOf: (isolation: Isolation) => ReturnType<typeof createHelper>;
}

describe('what is possible on this machine', () => {
  test('is probed once, and known to the next command', async () => {
    const { find, again, calls } = await machineOf('not-found');
    const found = await find();
    expect(found).toMatchObject({ rung: 'root', elevation: 'direct' });
    expect(await again().find()).toEqual(found);
    expect(await calls()).toEqual(['probe']);
    await again().probe();
    expect(await calls()).toEqual(['probe', 'probe']);
  });

  test('is doubted after a failure that may come from it, and what a probe finds then is thrown', async () => {
    const { find, again, helperOf, calls } = await machineOf('not-permitted');
    await find();
    const later = again();
    const helper = later.watch(helperOf(await later.find()));
    await expect(helper.call('state', { containers: [] })).rejects.toMatchObject({ code: 'NATIVE_NOT_PERMITTED' });
    expect(await calls()).toEqual(['probe', 'state', 'probe']);

    await writeFile(join(root, 'gone'), '');
    const last = again();
    const another = last.watch(helperOf(await last.find()));
    const session = another.open('state', { containers: [] });
    session.close({ detach: true });
    await expect(session.result).rejects.toMatchObject({ code: 'ISOLATION_IMPOSSIBLE' });
    await expect(again().find()).rejects.toMatchObject({ code: 'ISOLATION_IMPOSSIBLE' });
  });

  test('is not doubted for a failure that has nothing to do with it', async () => {
    const { find, again, helperOf, calls } = await machineOf('not-found');
    await find();
    const later = again();
    const helper = later.watch(helperOf(await later.find()));
    await expect(helper.call('state', { containers: [] })).rejects.toMatchObject({ code: 'NATIVE_NOT_FOUND' });
    expect(await calls()).toEqual(['probe', 'state']);
  });
});

describe('the memory of a machine', () => {
  // Type: what is kept is given back as it is; nothing looks into it.
  const isolation = { rung: 'root', elevation: 'direct' } as Isolation;

  test('lasts an hour, or a minute for what may soon be possible', () => {
    let now = 1_000_000_000_000;
    const memory = createMemory(root, () => 'facts', () => now);
    memory.keep(isolation, false);
    now += 59 * 60_000;
    expect(memory.recall()).toEqual(isolation);
    now += 60_000;
    expect(memory.recall()).toBeUndefined();
    memory.keep(isolation, true);
    now += 59_000;
    expect(memory.recall()).toEqual(isolation);
    now += 1_000;
    expect(memory.recall()).toBeUndefined();
    memory.keep(isolation, false);
    now -= 1;
    expect(memory.recall()).toBeUndefined();
  });

  test('counts under the same facts alone, and keeps nothing without any', () => {
    let facts: string | undefined = 'these';
    const memory = createMemory(root, () => facts);
    memory.keep(isolation, false);
    facts = 'others';
    expect(memory.recall()).toBeUndefined();
    facts = undefined;
    expect(memory.recall()).toBeUndefined();
    memory.forget();
    memory.keep(isolation, false);
    expect(memory.recall()).toBeUndefined();
  });

  test.each([
    ['half of it', async () => writeFile(fileOf(), (await readFile(fileOf())).subarray(0, 40))],
    ['a file that others may read', () => chmod(fileOf(), 0o644)],
    ['a list', () => writeFile(fileOf(), '[]')],
    ['nothing', () => writeFile(fileOf(), '')],
    ['a link', async () => {
      await writeFile(join(root, 'there'), await readFile(fileOf()), { mode: 0o600 });
      await rm(fileOf());
      await symlink(join(root, 'there'), fileOf());
    }],
    ['one of another protocol', async () => writeFile(fileOf(), (await readFile(fileOf(), 'utf8')).replace('"protocol":1', '"protocol":0'))],
  ])('does not believe %s, and is written anew', async (_what, spoil) => {
    const memory = createMemory(root, () => 'facts');
    memory.keep(isolation, false);
    await spoil();
    expect(memory.recall()).toBeUndefined();
    memory.keep(isolation, false);
    expect(memory.recall()).toEqual(isolation);
  });
});

describe('the facts of a machine', () => {
  const proc = async (name: string, text: string): Promise<void> => {
    await mkdir(join(root, 'proc', name, '..'), { recursive: true });
    await writeFile(join(root, 'proc', name), text);
  };
  const facts = (changed: Partial<Parameters<typeof readFacts>[0]> = {}): string | undefined =>
    readFacts({ root, helper: join(root, 'helper'), sudo: undefined, wanted: 'auto', proc: join(root, 'proc'), ...changed });

  test('differ with the boot, the rights, a switch, a group, the helper and what is asked for', async () => {
    expect(facts()).toBeUndefined();
    await proc('sys/kernel/random/boot_id', 'one\n');
    expect(facts()).toBeUndefined();
    await proc('self/status', 'Name:\tnode\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n');
    const seen = new Set([facts()]);
    expect(seen).toEqual(new Set([expect.stringContaining('000001ffffffffff')]));
    const steps = [
      () => proc('sys/kernel/random/boot_id', 'two\n'),
      () => proc('self/status', 'Name:\tnode\nCapEff:\t0000000000000000\nSeccomp:\t0\n'),
      () => proc('sys/user/max_user_namespaces', '0\n'),
      () => proc('self/cgroup', '0::/user.slice\n'),
      () => writeFile(join(root, 'helper'), 'first'),
      () => writeFile(join(root, 'helper'), 'other one'),
    ];
    for (const [at, step] of steps.entries()) {
      await step();
      expect(seen.add(facts()).size).toBe(at + 2);
      expect(facts()).toBe(facts());
    }
    await proc('self/status', 'Name:\tother\nCapEff:\t0000000000000000\nSeccomp:\t0\n');
    expect(seen.add(facts()).size).toBe(steps.length + 1);
    expect(seen.add(facts({ wanted: 'root' })).size).toBe(steps.length + 2);
    expect(seen.add(facts({ sudo: '/usr/bin/sudo' })).size).toBe(steps.length + 3);
  });
});

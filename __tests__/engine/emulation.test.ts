import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireMachines, runsHere } from '../../engine/emulation.ts';
import { parsePlatform } from '../../engine/image/platform.ts';
import { graphOf } from '../helpers/graph.ts';

const HOST = { os: 'linux', architecture: 'amd64' };
/** As the kernel shows a handler; the mask lets pass what qemu's does. */
const handler = (machine: string, flags: string, state = 'enabled'): string =>
  `${state}\ninterpreter /usr/bin/qemu\nflags: ${flags}\noffset 0\nmagic 7f454c4602010100000000000000000002${machine}\nmask ffffffffffffff00fffffffffffffffffeffffff\n`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-binfmt-'));
  await writeFile(join(folder, 'status'), 'enabled\n');
  await writeFile(join(folder, 'register'), '');
  await writeFile(join(folder, 'qemu-aarch64'), handler('00b700', 'POCF'));
  await writeFile(join(folder, 'qemu-riscv64'), handler('00f300', 'OC'));
  await writeFile(join(folder, 'qemu-ppc64le'), handler('001500', 'F', 'disabled'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const needs = async (text: string, platform: string, at = folder): Promise<void> => {
  const options = { platform: parsePlatform(platform), buildPlatform: HOST, showPlatform: true };
  await requireMachines((await graphOf(text, options)).vertices, HOST, at);
};

describe('a foreign platform', () => {
  test('needs nothing where nothing of it runs, also beside stages of this machine that do', async () => {
    await needs('FROM --platform=$BUILDPLATFORM a AS b\nRUN make\nFROM c\nCOPY --from=b /x /\n', 'linux/s390x');
  });

  test('runs by a handler that the kernel keeps open', async () => {
    await needs('FROM a\nRUN make\n', 'linux/arm64/v8');
  });

  test('is refused where all emulators are switched off', async () => {
    const off = await mkdtemp(join(folder, 'off-'));
    await writeFile(join(off, 'status'), 'disabled\n');
    await writeFile(join(off, 'qemu-aarch64'), handler('00b700', 'POCF'));
    await expect(needs('FROM a\nRUN make\n', 'linux/arm64', off)).rejects.toMatchObject({
      code: 'PLATFORM_UNSUPPORTED',
    });
  });

  test.each([
    ['linux/riscv64', folderOf, 'without the flag F'],
    ['linux/ppc64le', folderOf, 'no emulator for it is registered'],
    ['linux/s390x', folderOf, 'no emulator for it is registered'],
    ['linux/vax', folderOf, 'there is no emulator for it'],
    ['linux/arm64', () => '/nowhere', 'is not mounted'],
  ])(
    '%s is refused by the line that must run, and says what to install',
    async (platform: string, at: () => string, why: string) => {
      await expect(needs('FROM a\nRUN make\n', platform, at())).rejects.toMatchObject({
        code: 'PLATFORM_UNSUPPORTED',
        message: expect.stringContaining(why) as unknown,
        hint: expect.stringContaining('qemu-user-static') as unknown,
        location: { startLine: 2 },
      });
    },
  );
});

function folderOf(): string {
  return folder;
}

test.each([
  ['linux/amd64/v3', 'linux/amd64', true],
  ['linux/386', 'linux/amd64', true],
  ['linux/arm64/v9', 'linux/arm64', true],
  ['linux/arm64', 'linux/amd64', false],
  ['windows/amd64', 'linux/amd64', false],
])('%s on %s runs without an emulator: %s', (platform, host, runs) => {
  expect(runsHere(parsePlatform(platform), parsePlatform(host))).toBe(runs);
});

test.each([true, false])('arm on an arm64 that has 32 bits (%s) runs without an emulator just there', (has32Bit) => {
  const arm64 = parsePlatform('linux/arm64');
  expect(runsHere(parsePlatform('linux/arm/v7'), arm64, () => has32Bit)).toBe(has32Bit);
  expect(runsHere(arm64, arm64, () => has32Bit)).toBe(true);
});

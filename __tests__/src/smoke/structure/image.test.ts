import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ContainerConfig } from '../../../../engine/index.ts';
import { parseSpec, smoke, type SmokeReport } from '../../../../src/smoke/index.ts';
import { parseElf } from '../../../../src/smoke/structure/elf.ts';
import { openTestEngine, SHELL, type TestEngine } from '../../../helpers/engine.ts';

let at: TestEngine;
let reference: string;
let config: ContainerConfig;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-structure-image-'));
  at = await openTestEngine();
  await at.write({
    'bin/run': '#!/bin/sh\necho run\n',
    'etc/passwd': 'root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n',
  });
  const built = await at.build(`${SHELL}
COPY etc/passwd /etc/passwd
COPY --chown=1000:50 --chmod=4750 bin/run /app/run
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox rm /bin/true && chmod 1777 /tmp && mkdir -p /usr/share/doc/a && echo GPL > /usr/share/doc/a/copyright"]
ENV PATH=/bin GREETING=hello
USER app
WORKDIR /app
ENTRYPOINT ["./run"]
`);
  ({ imageId: reference, config } = built);
});
afterAll(async () => {
  await at.close();
  await rm(folder, { recursive: true });
});

const look = async (changes: ContainerConfig = {}): Promise<SmokeReport> =>
  await smoke({ reference, config: { ...config, ...changes } }, { kind: 'auto' }, { engine: at.engine });

describe('the files of an image, read without a container', () => {
  test('tell whether it could be started', async () => {
    const report = await look();
    expect(report.checks.map(({ name, status }) => [name, status])).toEqual([
      ['smoke test', 'untested'],
      ['USER', 'passed'],
      ['WORKDIR', 'passed'],
      ['program', 'passed'],
    ]);
    expect(report.checks[3]?.summary).toMatch(/^\/app\/run → \/bin\/(busybox|sh)$/);
    expect(await at.engine.containers.list({ all: true })).toEqual([]);
  });

  test.each<readonly [string, ContainerConfig, string]>([
    ['whom it does not know', { User: 'nobody' }, 'unable to find user nobody'],
    ['who may not execute it', { User: '1001:1001' }, '/app/run may not be executed by uid 1001'],
    ['what is gone from a layer below', { Entrypoint: ['true'] }, 'true is in no folder of PATH (/bin)'],
  ])('are red for %s', async (_name, changes, problem) => {
    const report = await look(changes);
    expect(report.verdict).toBe('failed');
    expect(report.checks.flatMap(({ failure }) => failure?.problems ?? [])[0]).toContain(problem);
  });
});

test('structure tests run on an image: files as they are, commands in containers of their own on what a setup left', async () => {
  await writeFile(
    join(folder, 'structure.yaml'),
    `schemaVersion: 2.0.0
commandTests:
- name: sees what the setup made, as the user of the image, and not its entrypoint
  setup: [[sh, -c, 'echo made > /tmp/made'], [sh, -c, 'echo more >> /tmp/made']]
  command: sh
  args: [-c, 'cat /tmp/made; echo $GREETING; id -u; pwd; touch /tmp/left']
  teardown: [[test, -e, /tmp/left]]
  expectedOutput: ['^made\\nmore\\nhello\\n1000\\n/app\\n$']
- name: each has a container of its own
  command: test
  args: ['!', -e, /tmp/made]
- name: a program that is not there
  command: nope
containerRunOptions: { user: app }
fileExistenceTests:
- { name: set-id, path: /app/run, permissions: urwxr-x---, uid: 1000, gid: 50 }
- { name: link, path: /bin/sh, permissions: Lrwxrwxrwx }
- { name: sticky, path: /tmp, permissions: dtrwxrwxrwx }
- { name: gone, path: /bin/true, shouldExist: false }
fileContentTests:
- { name: script, path: ./app/run, expectedContents: ['^#!/bin/sh'] }
licenseTests:
- debian: true
`,
  );
  const spec = await parseSpec('structure-tests: structure.yaml', 'smoke.yaml', [folder]);
  const report = await smoke({ reference, config }, { kind: 'spec', spec }, { engine: at.engine });
  const failed = report.checks.filter(({ status }) => status === 'failed');
  expect(failed.map(({ name, status }) => [name, status])).toEqual([
    ['command test: a program that is not there', 'failed'],
  ]);
  expect(failed[0]?.summary).toContain('nope');
  expect(report.checks).toHaveLength(10);
  expect(await at.engine.containers.list({ all: true })).toEqual([]);
  expect((await at.engine.images.list()).map(({ id }) => id)).toEqual([reference]);
});

test('a program of this machine is read as the loader reads it', async () => {
  const elf = parseElf(await readFile(process.execPath));
  expect(elf?.machine).toBe(process.arch);
  expect(elf?.interpreter).toMatch(/^\/lib.*ld-/);
  expect(elf?.needed).toContain('libc.so.6');
  expect(parseElf(Buffer.from('#!/bin/sh'))).toBeUndefined();
});

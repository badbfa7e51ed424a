import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ContainerConfig } from '../../../../engine/index.ts';
import {
  parseSpec,
  smoke,
  SmokeSpecError,
  toJUnit,
  type SmokeReport,
  type SmokeSpec,
} from '../../../../src/smoke/index.ts';
import type { MemoryFile } from '../../../helpers/image-files.ts';
import { createProcessEngine } from '../../../helpers/process-engine.ts';

let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'berth-structure-')));
  await mkdir(join(folder, 'mounted'));
  await writeFile(join(folder, 'bare.env'), 'A=1\nLENT\n');
  await writeFile(join(folder, 'test.env'), '# comment\nexport FROM_FILE="1"\n');
});
afterAll(async () => await rm(folder, { recursive: true }));

const LENT: Readonly<Record<string, string>> = { LENT: 'hunter22', CERT: 'a "quoted"\\secret' };

async function parse(text: string, name = 'structure.yaml'): Promise<SmokeSpec> {
  await writeFile(join(folder, name), text);
  return await parseSpec(`structure-tests: [${name}]`, 'smoke.yaml', [folder], (variable) => LENT[variable]);
}

async function run(
  text: string,
  {
    files = {},
    config = {},
    refused,
  }: {
    readonly files?: Readonly<Record<string, MemoryFile>>;
    readonly config?: ContainerConfig;
    /** A program that no container can run. */
    readonly refused?: string;
  },
): Promise<SmokeReport> {
  const spec = await parse(text);
  const engine = createProcessEngine(files, refused);
  const report = await smoke({ reference: 'x', config, size: 1 }, { kind: 'spec', spec }, { engine });
  expect(engine.running()).toEqual([]);
  return report;
}

const head = (rest: string): string => `schemaVersion: 2.0.0\n${rest}`;
const rowsOf = ({ checks }: SmokeReport): readonly (readonly [string, string, ...string[]])[] =>
  checks
    .filter(({ name }) => name !== 'smoke test')
    .map(({ status, name, failure }) => [status, name, ...(failure?.problems ?? [])] as const);

describe('tests of files', () => {
  const files: Readonly<Record<string, MemoryFile>> = {
    '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
    '/app/run': { content: '#!/bin/sh\n', mode: 0o750, uid: 1000, gid: 50 },
    '/usr/bin/python3': { link: 'python3.11' },
    '/usr/bin/python3.11': { content: '', mode: 0o755 },
    '/usr/share/doc/a/copyright': 'GPL-2',
    '/usr/share/doc/b/copyright': 'licensed under the agpl',
    '/usr/share/doc/README': '',
  };

  test('pass where everything is as it should be, without starting anything', async () => {
    const text = head(`
fileExistenceTests:
- { name: root, path: / }
- { name: run, path: $APP/run, permissions: -rwxr-x---, uid: 1000, gid: 50, isExecutableBy: group }
- { name: link, path: /usr/bin/python3, permissions: Lrw-r--r-- }
- { name: none, path: /etc/dummy, shouldExist: no, permissions: -rwxr-x--- }
fileContentTests:
- { name: passwd, path: /etc/passwd, expectedContents: ['root:x:0:0:.*:/bin/bash'], excludedContents: [nobody] }
licenseTests:
- files: [/usr/share/doc/a/copyright]
`);
    const report = await run(text, { files, config: { Env: ['APP=/app'] } });
    expect(rowsOf(report)).toEqual([
      ['passed', 'file existence test: root'],
      ['passed', 'file existence test: run'],
      ['passed', 'file existence test: link'],
      ['passed', 'file existence test: none'],
      ['passed', 'file content test: passwd'],
      ['passed', 'license test'],
    ]);
    expect(report.verdict).toBe('passed');
  });

  test('fail with what was wanted and what is there, at the place of the test', async () => {
    const text = head(`
fileExistenceTests:
- { name: run, path: /app/run, permissions: -rwxr-xr-x, uid: 0, gid: 0, isExecutableBy: other }
- { name: gone, path: /app/gone }
- { name: there, path: /etc/passwd, shouldExist: false }
fileContentTests:
- { name: passwd, path: /etc/passwd, expectedContents: [nobody], excludedContents: [^root] }
- { name: folder, path: /etc, expectedContents: [x] }
licenseTests:
- debian: true
`);
    const report = await run(text, { files });
    expect(rowsOf(report)).toEqual([
      ['failed', 'file existence test: run', '/app/run: wanted permissions -rwxr-xr-x, got -rwxr-x---', '/app/run: wanted it to be executable by other, got -rwxr-x---', '/app/run: wanted uid 0, got 1000', '/app/run: wanted gid 0, got 50'],
      ['failed', 'file existence test: gone', '/app/gone: there is no such file in the image'],
      ['failed', 'file existence test: there', '/etc/passwd: wanted nothing, there is a file'],
      ['failed', 'file content test: passwd', '/etc/passwd: wanted a match of /nobody/, got "root:x:0:0:root:/root:/bin/bash\\n"', '/etc/passwd: wanted no match of /^root/, got "root:x:0:0:root:/root:/bin/bash\\n"'],
      ['failed', 'file content test: folder', '/etc: Cannot read /etc: a directory is no regular file'],
      ['failed', 'license test', '/usr/share/doc/b/copyright: the licence names AGPL'],
    ]); // prettier-ignore
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'assertion' });
    expect(report.checks[1]?.location).toMatchObject({ file: 'structure.yaml', startLine: 5 });
    expect(toJUnit(report, 'x')).toContain(
      'name="file existence test: gone" time="0.000" file="structure.yaml" line="5"',
    );
  });
});

describe('the metadata test', () => {
  const config: ContainerConfig = {
    Env: ['FOO=bar', 'EMPTY='],
    Labels: { version: '1.10', vendor: 'ACME' },
    Entrypoint: ['/app'],
    ExposedPorts: { '8080/tcp': {}, '53/udp': {} },
    Volumes: { '/data': {} },
    WorkingDir: '/srv',
    User: 'app',
    Healthcheck: { Test: ['NONE'] },
  };
  const engineOf = async (text: string): Promise<SmokeReport> => {
    const spec = await parse(text);
    // EXPOSE makes it a server, which is not what is asked here.
    return await smoke(
      { reference: 'process.exit(1)', config },
      { kind: 'spec', spec },
      { engine: createProcessEngine() },
    );
  };

  test('compares what is named and nothing else, a number as it was written', async () => {
    const report = await engineOf(
      head(`
globalEnvVars: [{ key: ADDED, value: "$FOO!" }]
metadataTest:
  env: [{ key: FOO, value: bar }, { key: EMPTY, value: '' }]
  envVars: [{ key: ADDED, value: ^bar, isRegex: true }]
  unboundEnvVars: [{ key: NOPE }]
  labels: [{ key: version, value: 1.10 }, { key: vendor, value: 'A.*E', isRegex: true }]
  entrypoint: [/app]
  cmd: []
  exposedPorts: [8080, 53/udp]
  unexposedPorts: ["80"]
  volumes: [/data]
  unmountedVolumes: [/root]
  workdir: /srv
  user: app
`),
    );
    expect(report.checks[0]).toMatchObject({ status: 'passed', name: 'metadata test' });
  });

  test('tells each difference', async () => {
    const report = await engineOf(
      head(`
metadataTest:
  envVars: [{ key: FOO, value: baz }, { key: NOPE, value: x }]
  unboundEnv: [{ key: FOO }]
  labels: [{ key: version, value: '^2', isRegex: true }]
  entrypoint: []
  cmd: [/app]
  exposedPorts: ["80"]
  unexposedPorts: ["8080"]
  volumes: [/x]
  unmountedVolumes: [/data]
  workdir: /
  user: root
`),
    );
    expect(report.checks[0]?.failure?.problems).toEqual([
      'variable FOO: wanted "baz", got "bar"',
      'variable NOPE: wanted "x", got nothing',
      'variable FOO: wanted nothing, got "bar"',
      'label version: wanted a match of /^2/, got "1.10"',
      'entrypoint: wanted [], got ["/app"]',
      'cmd: wanted ["/app"], got []',
      'workdir: wanted "/", got "/srv"',
      'user: wanted "root", got "app"',
      'port 80: the image has no EXPOSE 80',
      'port 8080: wanted nothing, the image has it',
      'volume /x: the image has no VOLUME /x',
      'volume /data: wanted nothing, the image has it',
    ]);
  });
});

describe('command tests', () => {
  test('run the command in place of the entrypoint and judge its output, error and code', async () => {
    const report = await run(
      head(`
globalEnvVars: [{ key: WHO, value: you }]
commandTests:
- name: good
  command: sh
  args: [-c, 'echo hello $WHO; echo oops >&2; exit 3']
  envVars: [{ key: MORE, value: x }]
  exitCode: 3
  expectedOutput: ['^hello you\\n$']
  excludedOutput: [oops]
  expectedError: [oops]
  excludedError: [hello]
- name: bad
  command: sh
  args: [-c, 'echo hello; echo oops >&2']
  exitCode: 1
  expectedOutput: [bye]
  excludedError: [oops]
`),
      { config: { Entrypoint: ['/never'], Env: ['PATH=/usr/bin:/bin'] } },
    );
    expect(rowsOf(report)).toEqual([
      ['passed', 'command test: good'],
      ['failed', 'command test: bad', 'error: wanted no match of /oops/, got "oops\\n"', 'output: wanted a match of /bye/, got "hello\\n"', 'exit code: wanted 1, got 0'],
    ]); // prettier-ignore
    expect(report.checks[1]?.failure?.log).toEqual(['hello', 'oops']);
  });

  test('say when a setup fails and the test passes all the same, and name the network when it is what lacks', async () => {
    const report = await run(
      head(`
commandTests:
- { name: a, setup: [[sh, -c, 'echo no >&2; exit 2']], teardown: [['true']], command: sh, args: [-c, exit 0] }
- { name: b, command: sh, args: [-c, 'echo Could not resolve host x; exit 6'] }
`),
      { config: { Env: ['PATH=/usr/bin:/bin'] } },
    );
    expect(report.checks[0]).toMatchObject({
      status: 'warning',
      summary: 'setup: sh -c echo no >&2; exit 2 exited with 2: no',
    });
    expect(report.checks[1]?.hint).toContain('run: { network: egress }');
  });

  test('end with a setup that could not be run: what it makes is not there', async () => {
    const report = await run(
      head("commandTests: [{ name: a, setup: [[sh, -c, ':'], [broken]], command: 'true', excludedOutput: [x] }]"),
      { config: { Env: ['PATH=/usr/bin:/bin'] }, refused: 'broken' },
    );
    expect(rowsOf(report)[0]).toEqual([
      'failed',
      'command test: a',
      'setup: broken: Cannot run broken: it is not there',
    ]);
  });

  test('do not pass for output of which only the beginning was kept', async () => {
    const report = await run(
      head(`
commandTests:
- { name: a, command: sh, args: [-c, 'head -c 5000000 /dev/zero; echo secret'], excludedOutput: [secret] }
- { name: b, command: sh, args: [-c, 'head -c 5000000 /dev/zero >&2'], excludedOutput: [secret] }
`),
      { config: { Env: ['PATH=/usr/bin:/bin'] } },
    );
    expect(rowsOf(report).slice(0, 2)).toEqual([
      ['failed', 'command test: a', expect.stringContaining('output: it is longer than 4 MiB')],
      ['passed', 'command test: b'],
    ]);
  });

  test('show no part of a secret, also where a text is cut or quoted, and let lent variables win', async () => {
    const report = await run(
      head(`
containerRunOptions: { envVars: [LENT, CERT] }
commandTests:
- name: a
  command: sh
  args: [-c, 'printf "%295s" ""; printenv LENT CERT; exit 1']
  envVars: [{ key: LENT, value: other }]
  expectedOutput: [^never]
`),
      { config: { Env: ['PATH=/usr/bin:/bin', 'CERT=image'] } },
    );
    expect(report.checks[0]?.failure?.problems[0]).toContain(`${' '.repeat(295)}***\\n*…`);
    expect(JSON.stringify(report.checks[0])).not.toMatch(/hunt|quo|other|image/);
  });

  test('take the options of the container, of which variables and files are lent by name and masked', async () => {
    const spec = await parse(
      head(`
containerRunOptions:
  user: root
  privileged: true
  allocateTty: true
  envFile: test.env
  envVars: [LENT]
  capabilities: [sys_admin]
  drop_capabilities: [chown]
  bindMounts: ["./mounted:/mnt:ro"]
  network: none
fileExistenceTests: [{ name: a, path: /a }]
`),
    );
    expect(spec.structure[0]?.options).toEqual({
      user: 'root',
      privileged: true,
      tty: true,
      env: ['FROM_FILE=1', 'LENT=hunter22'],
      capAdd: ['sys_admin'],
      capDrop: ['chown'],
      mounts: [{ type: 'bind', source: join(folder, 'mounted'), target: '/mnt', readonly: true }],
      network: 'none',
      secrets: ['hunter22', 'hunter22'],
    });
    expect(spec.run.secrets).toContain('hunter22');
    expect(spec).toMatchObject({ isClosed: false, asksForServer: false });
  });
});

describe('a file', () => {
  test('may be JSON, as tabs and all', async () => {
    const text = '{\n\t"schemaVersion": "2.0.0",\n\t"fileExistenceTests": [\n\t\t{"name": "a", "path": "/a"}\n\t]\n}\n';
    const spec = await parse(text, 'structure.json');
    expect(spec.structure[0]?.files).toMatchObject([{ name: 'a', path: '/a', shouldExist: true }]);
  });

  test('may share parts by anchors, and leave values empty', async () => {
    const spec = await parse(
      head(
        'x-a: &a { name: a, path: /a }\n'.replace('x-a: &a', 'fileExistenceTests:\n- &a') +
          '- { <<: *a, name: b }\nmetadataTest:\n  entrypoint:\ncommandTests:\n',
      ),
    );
    expect(spec.structure[0]?.files.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(spec.structure[0]?.metadata?.entrypoint).toBeUndefined();
  });

  test.each([
    [
      'an alias',
      "metadataTest: { cmd: &o ['^never$'] }\ncommandTests: [{ name: a, command: echo, expectedOutput: *o }]",
    ],
    [
      'an alias of one',
      "globalEnvVars: [{ key: X, value: &o '^never$' }]\ncommandTests: [{ name: a, command: echo, expectedOutput: [*o] }]",
    ],
    ['a merge', "commandTests: [&a { name: a, command: echo, expectedOutput: ['^never$'] }, { <<: [*a], name: b }]"],
  ])('that gives a pattern by %s asks for it: a test that must fail does', async (_name, text) => {
    const report = await run(head(text), { config: { Env: ['PATH=/usr/bin:/bin'] } });
    const tested = report.checks.filter(({ name }) => name.startsWith('command test'));
    expect(tested.map(({ status }) => status)).toEqual(tested.map(() => 'failed'));
    expect(tested.at(-1)?.summary).toContain('wanted a match of /^never$/');
  });

  const table: readonly [string, string, string, string | undefined][] = [
    ['the first version', 'schemaVersion: "1.0.0"\ncommandTests: [{ name: a, command: [which, x] }]', 'structure.yaml:1:16: `schemaVersion` is "1.0.0": wanted 2.0.0', 'Write schemaVersion: 2.0.0, and each `command: [which, python3]` as `command: which` with `args: [python3]`'],
    ['no test', head('commandTests: []\nmetadataTest: { labels: [] }'), 'structure.yaml:1:1: the structure test tests nothing', 'Write commandTests, fileExistenceTests, fileContentTests, metadataTest or licenseTests'],
    ['a variable of the step in a file', head('containerRunOptions: { envFile: bare.env }'), 'bare.env:2: there is no NAME=value; a variable of the step is lent by its name under `envVars`', undefined],
    ['no version', 'commandTests: []', 'the structure test needs `schemaVersion`', undefined],
    ['a typo', head('commandTest: []'), 'structure.yaml:2:1: unknown key `commandTest`', 'Did you mean `commandTests`?'],
    ['a command without a name', head('commandTests: [{ command: x }]'), '`commandTests[0]` needs `name`', undefined],
    ['a command as a list', head('commandTests: [{ name: a, command: [x] }]'), '`commandTests[0].command` is a list', undefined],
    ['an empty setup', head('commandTests: [{ name: a, command: x, setup: [[]] }]'), 'setup[0]` is an empty list', undefined],
    ['a variable without a value', head('globalEnvVars: [{ key: a }]'), '`globalEnvVars[0]` needs `value`', undefined],
    ['an octal mode', head('fileExistenceTests: [{ name: a, path: /a, permissions: "0755" }]'), 'wanted a mode as Go writes it, such as -rwxr-xr-x', undefined],
    ['an unknown class', head('fileExistenceTests: [{ name: a, path: /a, isExecutableBy: me }]'), 'wanted owner, group, other or any', undefined],
    ['a pattern that Go does not have', head("fileContentTests: [{ name: a, path: /a, expectedContents: ['(?=x)'] }]"), 'structure.yaml:2:60: "(?=x)" is no regular expression: Go\'s regexp has no (?=x', undefined],
    ['a mount from elsewhere', head('containerRunOptions: { bindMounts: ["/etc:/x"] }'), '/etc leads out of the workspace', undefined],
    ['a variable that is not there', head('containerRunOptions: { envVars: [ABSENT] }'), 'there is no variable ABSENT to take over', undefined],
  ]; // prettier-ignore

  test.each(table)('with %s is refused at its place', async (_name, text, message, hint) => {
    const error: unknown = await parse(text).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SmokeSpecError);
    if (!(error instanceof SmokeSpecError)) return;
    expect(error.message).toContain(message);
    if (hint !== undefined) expect(error.hint).toBe(hint);
    expect(error.location).toMatchObject({ file: 'structure.yaml' });
  });

  test('that is not there, or lies elsewhere, is refused at the line that names it', async () => {
    await expect(parseSpec('structure-tests: nope.yaml', 's.yaml', [folder])).rejects.toThrow(
      's.yaml:1:18: there is no file nope.yaml',
    );
    await expect(parseSpec('structure-tests: [/etc/hosts]', 's.yaml', [folder])).rejects.toThrow(
      'leads out of the workspace',
    );
  });
});

test('say that the image was not started where nothing asks for it; what says how to start it does', async () => {
  const report = await run(head('fileExistenceTests: [{ name: a, path: / }]'), {});
  expect(report).toMatchObject({ verdict: 'passed', checks: [{ status: 'passed' }, { status: 'untested' }] });
  expect(report.checks[1]?.summary).toContain('not started');
  const asks = async (rest: string): Promise<boolean> =>
    (await parseSpec(`structure-tests: structure.yaml\nrun: ${rest}`, 'smoke.yaml', [folder])).asksForServer;
  expect(await Promise.all(['{ args: [x] }', '{ user: app, network: none }'].map(asks))).toEqual([true, true]);
  expect(await asks('{ network: egress, resources: { cpus: 1 } }')).toBe(false);
});

test('a server is started after them', async () => {
  const spec = await parse(head('fileExistenceTests: [{ name: a, path: /a }]'));
  const engine = createProcessEngine();
  const config = { ExposedPorts: { '1/tcp': {} } };
  const report = await smoke({ reference: 'process.exit(4)', config }, { kind: 'spec', spec }, { engine });
  expect(rowsOf(report).map(([status, name]) => [status, name])).toEqual([
    ['failed', 'file existence test: a'],
    ['failed', 'ready'],
  ]);
});

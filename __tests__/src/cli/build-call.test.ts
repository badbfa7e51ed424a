import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkDockerfile, listTargets, outlineDockerfile } from '../../../engine/build-describe.ts';
import type { LocalRequest } from '../../../engine/build-inputs.ts';
import type { BuildRequest, Engine } from '../../../engine/index.ts';
import { answerCall, parseCall } from '../../../src/cli/commands/build-call.ts';
import { UsageError } from '../../../src/cli/usage-error.ts';
import { createResolver, PLATFORM } from '../../helpers/graph.ts';

const FILE = `# LEVEL says how much
ARG PYTHON=3.11
# train fits the model
FROM python:\${PYTHON} as Train
ARG HF_TOKEN
# LEVEL of detail
ARG LEVEL=2
FROM python:\${PYTHON}
ARG LEVEL=3
COPY --from=train /m /m
CMD serve
`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'build-call-'));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

/** What `berth build --call=…` prints and exits with. */
async function call(text: string, method: string, request: Partial<BuildRequest> = {}): Promise<Answer> {
  await writeFile(join(folder, 'Dockerfile'), text);
  const written = { stdout: '', stderr: '' };
  const writer = (name: 'stdout' | 'stderr') => ({
    write: (chunk: string | Uint8Array) => void (written[name] += chunk.toString()),
    send: async () => undefined,
    isTTY: false,
    columns: 80,
  });
  const { target, buildArgs } = request;
  const options = { resolver: createResolver(), graph: { platform: PLATFORM, target, buildArgs } };
  const local = (asked: BuildRequest): LocalRequest => ({ ...asked, context: folder });
  const dockerfile: Engine['dockerfile'] = {
    check: (asked, act) => checkDockerfile(local(asked), { ...options, ...act }),
    outline: (asked) => outlineDockerfile(local(asked), options),
    targets: (asked) => listTargets(local(asked)),
  };
  const streams = { stdout: writer('stdout'), stderr: writer('stderr'), signal: new AbortController().signal };
  // Type: a call asks an engine for its Dockerfiles alone.
  const code = await answerCall(streams, { dockerfile } as Engine, parseCall(method), { context: folder, ...request });
  return { code, ...written };
}

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('--call=check', () => {
  test('prints what Docker prints, and exits with 1', async () => {
    const { code, stdout } = await call('FROM a as b\n\nCMD ["c"]\nEXPOSE 80/TCP\n', 'check');
    expect(stdout).toBe(`Check complete, 2 warnings have been found!

WARNING: FromAsCasing - https://docs.docker.com/go/dockerfile/rule/from-as-casing/
'as' and 'FROM' keywords' casing do not match
Dockerfile:1
--------------------
   1 | >>> FROM a as b
   2 |${'     '}
   3 |     CMD ["c"]
--------------------

WARNING: ExposeProtoCasing - https://docs.docker.com/go/dockerfile/rule/expose-proto-casing/
Defined protocol '80/TCP' in EXPOSE instruction should be lowercase
Dockerfile:4
--------------------
   2 |${'     '}
   3 |     CMD ["c"]
   4 | >>> EXPOSE 80/TCP
   5 |${'     '}
--------------------
`);
    expect(code).toBe(1);
  });

  test('is content with a good file, and with any when the status is ignored', async () => {
    expect(await call('FROM a\n', 'lint')).toEqual({
      code: 0,
      stdout: 'Check complete, no warnings found.\n',
      stderr: '',
    });
    expect((await call('FROM a as b\n', 'check,ignorestatus=true')).code).toBe(0);
  });

  test('looks at every stage, or at those of the target', async () => {
    const text = 'FROM a AS b\nMAINTAINER c\nFROM a AS d\nENV e f\nFROM a AS g\n';
    expect((await call(text, 'check')).stdout).toContain('2 warnings');
    expect((await call(text, 'check', { target: 'g' })).stdout).toContain('1 warning has');
  });

  test('says that another frontend is not run, as a build does, and is content', async () => {
    const text = '# syntax=example.org/nix:1\nFROM a\n';
    const said =
      'WARN: Dockerfile:1: The frontend example.org/nix is not run: Dockerfile is built as a Dockerfile ' +
      '(Remove the line # syntax=, or write # syntax=docker/dockerfile:1)\n';
    expect(await call(text, 'check')).toEqual({
      code: 0,
      stdout: 'Check complete, no warnings found.\n',
      stderr: said,
    });
    const json = await call(text, 'check,format=json');
    expect(json).toMatchObject({ code: 0, stderr: said });
    expect(JSON.parse(json.stdout)).toMatchObject({ warnings: [] });
  });

  test('tells what it found before the error that a build would end with', async () => {
    const { code, stdout, stderr } = await call('FROM a AS B\nBADCMD\n', 'check');
    expect(stdout).toContain("Stage name 'B' should be lowercase");
    expect(stderr).toContain('there is no instruction "BADCMD"');
    expect(code).toBe(1);
  });

  test('gives machines rules, places and the file', async () => {
    const { code, stdout } = await call('FROM a as b\n', 'check,format=json');
    expect(JSON.parse(stdout)).toEqual({
      warnings: [
        {
          ruleName: 'FromAsCasing',
          description: "The 'as' keyword should match the case of the 'from' keyword",
          url: 'https://docs.docker.com/go/dockerfile/rule/from-as-casing/',
          detail: "'as' and 'FROM' keywords' casing do not match",
          location: { ranges: [{ start: { line: 1 }, end: { line: 1 } }] },
        },
      ],
      sources: [
        { filename: 'Dockerfile', data: Buffer.from('FROM a as b\n').toString('base64'), language: 'Dockerfile' },
      ],
    });
    expect(code).toBe(1);
  });
});

describe('--call=outline', () => {
  test('lists what the target and its stages take, once each', async () => {
    const { stdout } = await call(FILE, 'outline');
    expect(stdout).toBe(`BUILD ARG   VALUE   DESCRIPTION
PYTHON      3.11    ${''}
HF_TOKEN            ${''}
LEVEL       3       ${''}

`);
  });

  test('names the target, and says what its comments say', async () => {
    const { stdout, code } = await call(FILE, 'outline', { target: 'train' });
    expect(stdout).toBe(`TARGET:      train
DESCRIPTION: fits the model

BUILD ARG   VALUE   DESCRIPTION
PYTHON      3.11    ${''}
HF_TOKEN            ${''}
LEVEL       2       of detail

`);
    expect(code).toBe(0);
  });
});

describe('--call=outline of arguments that stages share, as BuildKit 0.32 prints it', () => {
  const SHARED = `# A is the first
ARG A=1
# B is the second
ARG B=b$A
# C is the third
ARG C=3
ARG UNUSED=4
ARG BASE=python
FROM \${BASE} AS other
ARG C
FROM nobody AS unneeded
ARG NOTHING=1
FROM --platform=$BUILDPLATFORM \${BASE} AS one
# X of one
ARG X=1
ARG B
ARG TARGETPLATFORM
ARG UNSET
FROM one
# Y of the last
ARG Y=2
ARG A=own
ARG TARGETARCH=mine
COPY --from=other /m /m
`;

  test('shows what is taken from before the first FROM as it stands there, and what it is made of', async () => {
    expect((await call(SHARED, 'outline', { target: 'one' })).stdout).toBe(`TARGET:      one

BUILD ARG   VALUE    DESCRIPTION
A           1        is the first
B           b1       is the second
BASE        python   ${''}
X           1        of one
UNSET                ${''}

`);
  });

  test('leaves out what nothing needs and arguments of the platform; what a stage sets stands for itself', async () => {
    expect((await call(SHARED, 'outline')).stdout).toBe(`BUILD ARG    VALUE    DESCRIPTION
B            b1       is the second
C            3        is the third
BASE         python   ${''}
X            1        of one
UNSET                 ${''}
Y            2        of the last
A            own      ${''}
TARGETARCH   mine     ${''}

`);
  });

  test('shows what is given where the stage declares it', async () => {
    expect((await call(SHARED, 'outline', { buildArgs: { B: 'given' }, target: 'one' })).stdout).toContain(
      `BASE        python   ${''}\nX           1        of one\nB           given    ${''}\n`,
    );
  });
});

describe('--call=targets', () => {
  test('lists the stages, the default one marked', async () => {
    const { stdout } = await call(FILE, 'targets');
    expect(stdout).toBe('TARGET    DESCRIPTION\ntrain     fits the model\n(default) \n');
  });

  test('gives machines bases and places', async () => {
    const { stdout } = await call(FILE, 'targets,format=json');
    expect(JSON.parse(stdout)).toMatchObject({
      targets: [
        { name: 'train', description: 'fits the model', base: 'python:${PYTHON}' },
        { default: true, location: { ranges: [{ start: { line: 8 }, end: { line: 8 } }] } },
      ],
    });
  });
});

test.each(['foo', 'check,format=yaml', 'check,error=true', ''])('--call=%s is refused', (text) => {
  expect(() => parseCall(text)).toThrow(UsageError);
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../engine/base/errors.ts';
import type { WarningEvent } from '../../engine/base/progress.ts';
import type { BuildRequest } from '../../engine/index.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { openTestEngine, SHELL, type TestEngine } from '../helpers/engine.ts';

const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);

suite(named('a build that cannot go on'), () => {
  let it: TestEngine;
  beforeAll(async () => {
    it = await openTestEngine();
  });
  afterAll(async () => await it.close());

  const errorOf = async (text: string, request?: Partial<BuildRequest>): Promise<EngineError> => {
    const error = await it.build(text, request).then(
      () => new Error('it was built'),
      (reason: unknown) => reason,
    );
    if (error instanceof EngineError) return error;
    throw error;
  };

  test('names the flag and the user that the stage does not have', async () => {
    expect(await errorOf('FROM scratch\nCOPY --chown=app busybox /b\n')).toMatchObject({
      code: 'USER_NOT_FOUND',
      message: 'Cannot use --chown=app: the stage has no user "app" in /etc/passwd',
      hint: 'Put RUN useradd app before it, or give ids: --chown=1000:1000',
      location: { startLine: 2 },
    });
    expect(await errorOf('FROM scratch\nADD --chown=0:staff busybox /b\n')).toMatchObject({
      message: 'Cannot use --chown=0:staff: the stage has no group "staff" in /etc/group',
      hint: 'Put RUN groupadd staff before it, or give ids: --chown=1000:1000',
    });
    expect(await errorOf('FROM scratch\nCOPY busybox /b\nUSER app\nWORKDIR /w\n')).toMatchObject({
      message: 'Cannot use USER app: the stage has no user "app" in /etc/passwd',
      location: { startLine: 4 },
    });
  });

  test('says of a stage without a shell what to write instead, and offers nobody that shell', async () => {
    const error = await errorOf('FROM scratch\nCOPY busybox /b\nRUN echo hi\n');
    expect(error).toMatchObject({ code: 'RUN_FAILED', exitCode: 127, location: { startLine: 3 } });
    expect(error.message).toContain('the stage has no /bin/sh that could run the command');
    expect(error.hint).toBe(
      'Write it without a shell, RUN ["/program", "argument"], or begin FROM an image that has a shell',
    );
  });

  test('says of a file where a folder is needed which step needs it, and what to do', async () => {
    await it.write({ conf: 'x' });
    for (const line of ['WORKDIR /f', 'WORKDIR /f/below', 'COPY conf /f/']) {
      expect(await errorOf(`FROM scratch\nCOPY conf /f\n${line}\n`)).toMatchObject({
        code: 'NATIVE_INVALID',
        message: `Cannot build [2/2] ${line}: a file is in the way where a directory is needed: /f`,
        hint: 'Name another destination, or remove what is there in a step before: RUN rm /f',
        location: { startLine: 3 },
      });
    }
  });

  test('says of an archive that is cut short which it is, and how it is added as it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-cut-'));
    await writeFile(join(folder, 'noise'), randomBytes(4 << 20));
    execFileSync('tar', ['-C', folder, '-czf', join(folder, 'a.tgz'), 'noise']);
    const whole = await readFile(join(folder, 'a.tgz'));
    await writeFile(join(it.context, 'a.tgz'), whole.subarray(0, 3 << 20));
    await rm(folder, { recursive: true });
    const error = await errorOf('FROM scratch\nADD a.tgz /a/\n');
    expect(error.message).toMatch(/^Cannot build \[1\/1\] ADD a.tgz \/a\/: the blob is malformed: .*: a.tgz$/);
    expect(error.hint).toBe('Make the archive again, or add it as it is: ADD --unpack=false');
    expect(error.location?.startLine).toBe(2);
  });

  test('says of a comment behind a COPY that it is none', async () => {
    await it.write({ conf: 'x' });
    for (const [line, code] of [
      ['COPY conf /conf # settings', 'COPY_SOURCE_NOT_FOUND'],
      ['COPY --from=0 b /c # the program', 'COPY_SOURCE_NOT_FOUND'],
      ['COPY --from=0 b / #c', 'NATIVE_INVALID'],
    ] as const) {
      const error = await errorOf(`FROM scratch\nCOPY busybox /b\nFROM scratch\n${line}\n`);
      expect(error).toMatchObject({ code, location: { startLine: 4 } });
      expect(error.hint).toBe('Put the comment on a line of its own: behind COPY, # is read as a path');
    }
    expect((await errorOf('FROM scratch\nCOPY nosuch /c#\n')).hint ?? '').not.toContain('comment');
  });

  test('names the mount whose source is not in the context, and what to write', async () => {
    await it.write({ 'models/one': 'x' });
    for (const [source, hint] of [
      ['/nope', `Paths begin at the root of the context ${it.context}; leave source= out to mount all of it`],
      ['/models/ome', 'Did you mean source=models/one?'],
    ] as const) {
      expect(await errorOf(`FROM scratch\nRUN --mount=type=bind,source=${source},target=/x ["/b"]\n`)).toMatchObject({
        code: 'COPY_SOURCE_NOT_FOUND',
        message: `Cannot mount "${source.slice(1)}" by RUN --mount=type=bind,source=${source.slice(1)}: it is not in the build context ${it.context}`,
        hint,
        location: { startLine: 2 },
      });
    }
  });

  test('refuses an agent without a socket before it reads anything', async () => {
    const path = join(it.context, 'conf');
    await writeFile(path, '');
    for (const [socket, state] of [
      ['/nonexistent', 'there is no such socket'],
      [path, 'it is no socket'],
    ] as const) {
      expect(await errorOf('NONSENSE\n', { ssh: [{ id: 'own', socket }] })).toMatchObject({
        code: 'SSH_AGENT_UNREACHABLE',
        message: `Cannot use the SSH agent "own" at ${socket}: ${state}`,
      });
    }
  });

  test('says before the first step that the configuration will be too large to be read', async () => {
    // Each is there twice: as a label, and in the history.
    const labels = Array.from({ length: 40 }, (_, index) => `LABEL a${index}=${'b'.repeat(60_000)}\n`).join('');
    const dockerfile = `FROM scratch\nCOPY busybox /b\nRUN ["/b", "false"]\n${labels}`;
    expect(await errorOf(dockerfile)).toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringMatching(
        /^Cannot make the image: its configuration has at least 4\d{6} bytes, over the limit/,
      ),
      hint: expect.stringContaining('LABEL'),
    });
    expect((await it.engine.dockerfile.check({ context: it.context, dockerfile })).error).toMatchObject({
      code: 'TOO_LARGE',
    });
  });

  test('says of a frontend that reads no Dockerfiles that it is not run', async () => {
    const warningsOf = async (syntax: string): Promise<unknown> =>
      (await it.build(`# syntax=${syntax}\nFROM scratch\nCOPY busybox /b\n`)).warnings;
    for (const own of [
      'docker/dockerfile:1',
      'docker.io/docker/dockerfile-upstream:master-labs',
      'localhost:5000/docker/dockerfile@sha256:0',
      'harbor.example.org/mirror/dockerfile:1.7',
    ])
      expect(await warningsOf(own)).toEqual([]);
    expect(await warningsOf('example.org/nix:1 --flag')).toMatchObject([
      {
        message: 'The frontend example.org/nix is not run: Dockerfile is built as a Dockerfile',
        hint: expect.stringContaining('# syntax=docker/dockerfile:1'),
        location: { startLine: 1, endLine: 1 },
      },
    ]);
  });

  test('shows the JSON that was meant by single quotes: in RUN, of an image, and of its container', async () => {
    const error = await errorOf(`${SHELL}RUN ['echo', 'hi']\n`);
    expect(error).toMatchObject({ code: 'RUN_FAILED', exitCode: 127 });
    expect(error.hint).toContain('Single quotes are no JSON, so a shell has read this: write RUN ["echo", "hi"]. ');
    const built = await it.build(`${SHELL}CMD ['echo', 'hi']\n`);
    expect(built.warnings).toMatchObject([
      {
        rule: 'JSONArgsRecommended',
        hint: expect.stringMatching(/^Single quotes .* write CMD \["echo", "hi"\]; http/),
      },
    ]);
    const told: WarningEvent[] = [];
    const container = await it.engine.containers.run(
      { image: built.imageId, network: 'none', rm: true },
      { onEvent: (event) => void (event.type === 'warning' && told.push(event)) },
    );
    expect((await container.ended).exitCode).toBe(127);
    expect(told.map(({ message }) => message)).toEqual([
      `The command ['echo', 'hi'] is a text for /bin/sh, as single quotes are no JSON: ["echo", "hi"] is meant`,
    ]);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { EngineError } from '../../engine/base/errors.ts';
import type { Manifest } from '../../engine/image/types.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import type { BuildRequest, Engine } from '../../engine/index.ts';
import { buildWith, openTestEngine, SHELL, type BuiltEvents, type TestEngine } from '../helpers/engine.ts';

const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);
const bytes = (text: string): Uint8Array => Buffer.from(text);

// One store for all: the stage with the shell is built once.
let it: TestEngine;
beforeAll(async () => {
  it = await openTestEngine();
});
afterEach(async () => {
  expect((await it.engine.system.fsck()).problems).toEqual([]);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  expect(mounts.split('\n').filter((line) => line.includes(it.root))).toEqual([]);
  expect(await readdir(join(it.root, 'containers'))).toEqual([]);
  expect((await readdir(join(it.root, 'run'))).filter((name) => !name.endsWith('.json'))).toEqual([]);
});
afterAll(async () => {
  await it.close();
});

/** Names in the topmost layer. */
async function topLayer(built: BuiltEvents): Promise<readonly string[]> {
  const blob = (digest = ''): string => join(it.root, 'blobs/sha256', digest.slice(7));
  const manifest = JSON.parse(await readFile(blob(built.manifest?.digest), 'utf8')) as Manifest;
  const tar = execFileSync('tar', ['-tzf', blob(manifest.layers.at(-1)?.digest)], { encoding: 'utf8' });
  return tar.trim().split('\n').filter(Boolean);
}

async function errorOf(act: Promise<unknown>): Promise<EngineError> {
  return await act.then(
    () => Promise.reject(new Error('nothing was thrown')),
    (error: unknown) => (error instanceof EngineError ? error : Promise.reject(error as Error)),
  );
}

suite(named('RUN --mount'), () => {
  test('shows files of the context, of a stage and of memory, and leaves only what the command made', async () => {
    await it.write({ 'src/a.txt': 'from the context', '.dockerignore': 'src/secret.txt', 'src/secret.txt': 'no' });
    const built = await it.build(
      `${SHELL}
FROM shell AS made
RUN mkdir /out && echo "from a stage" > /out/b.txt && ln -s /etc /out/leads-out
FROM shell
RUN --mount=target=/context --mount=type=bind,from=made,source=/out,target=/stage \\
    --mount=type=bind,from=made,source=/out/b.txt,target=/one/b.txt --mount=type=tmpfs,target=/memory,size=1m \\
    --mount=type=bind,source=src,target=/written,rw \\
    cat /context/src/a.txt /stage/b.txt /one/b.txt && ls -A /context/src && ! touch /stage/x 2>/dev/null && \\
    touch /memory/x /written/x && df /memory | grep -q 1024 && stat -c %u:%a /written/a.txt && echo kept > /result
`,
      { complete: true },
    );
    expect(built.output).toContain('from the contextfrom a stage\nfrom a stage\na.txt\n0:644\n');
    expect(await topLayer(built)).toEqual(['result']);
    expect(await readdir(join(it.context, 'src'))).not.toContain('x');
  });

  test('counts the content of what it mounts, and nothing of what it only keeps', async () => {
    const file = (content: string): string => `${SHELL}
FROM shell AS made
RUN echo ${content} > /part && date +%N > /noise
FROM shell
RUN --mount=type=bind,from=made,source=/part,target=/part --mount=type=bind,source=list.txt,target=/list.txt \\
    --mount=type=cache,target=/cache echo run >> /cache/log; cat /part /list.txt /cache/log
`;
    await it.write({ 'list.txt': 'one\n', 'other.txt': '1' });
    const first = await it.build(file('a'));
    expect(first.output).toContain('a\none\nrun\n');
    await it.write({ 'other.txt': '2' });
    // Other noise in the stage, another file in the context: a hit.
    expect((await it.build(file('a '))).steps.executed).toBe(1);
    await it.write({ 'list.txt': 'two\n' });
    const changed = await it.build(file('a '));
    expect([changed.steps.executed, changed.output]).toEqual([1, 'a\ntwo\nrun\nrun\n']);
    // The content of the cache, its id and how it is shared are no part of the key.
    const renamed = file('a ').replace('type=cache,', 'type=cache,id=other,sharing=locked,');
    expect((await it.build(renamed)).steps.executed).toBe(0);
  });

  test('keeps a cache with the owner, the mode and the first content that were asked for', async () => {
    const built = await it.build(`${SHELL}
FROM shell AS seed
RUN mkdir /seed && echo seed > /seed/file
FROM shell
RUN --mount=type=cache,target=/a,uid=5,gid=6,mode=0750 stat -c %u:%g:%a /a
RUN --mount=type=cache,target=/b,from=seed,source=/seed cat /b/file && echo more >> /b/file && mkdir -p /b/deep/er
RUN --mount=type=cache,target=/b,from=seed,source=/seed cat /b/file
RUN --mount=type=cache,id=x,target=/x mkdir -p /x/sub && touch /x/sub/here
RUN --mount=type=cache,id=x,target=/y,source=sub,ro ls /y && ! touch /y/z 2>/dev/null
`);
    expect(built.output).toBe('5:6:750\nseed\nseed\nmore\nhere\n');
  });

  test('keeps one user of a locked cache at a time, and gives a private one to each', async () => {
    const steps = (sharing: string, check: (name: string) => string): string =>
      `${SHELL}${['a', 'b']
        .map(
          (name) => `FROM shell AS ${name}
RUN --mount=type=cache,target=/c,sharing=${sharing} ${check(name)} && touch /${name}
`,
        )
        .join('')}FROM scratch
COPY --from=a /a /
COPY --from=b /b /
`;
    const alone = 'test ! -e /c/busy && touch /c/busy && sleep 0.2 && rm /c/busy && echo one >> /c/log';
    await it.build(steps('locked', () => alone));
    const log = await it.build(`${SHELL}FROM shell\nRUN --mount=type=cache,target=/c cat /c/log && rm /c/log\n`);
    expect(log.output).toBe('one\none\n');
    // None sees the other's mark, which would be in the same folder meanwhile.
    const unmet = (name: string): string => `touch /c/${name} && sleep 0.2 && ls /c && rm /c/${name}`;
    const built = await it.build(steps('private', unmet), { noCache: true });
    expect(built.output.split('\n').sort()).toEqual(['', 'a', 'b']);
  });

  test.each([
    ['--mount=type=cache,id=../../../x,target=/c,source=nowhere', 'no such file'],
    ['--mount=type=cache,id=l,target=/c,source=sel', 'no such file'],
    ['--mount=type=cache,id=l,target=/c,source=../../x', 'leads out of it'],
    ['--mount=type=bind,from=shell,source=/nowhere,target=/c', '/nowhere'],
    ['--mount=type=bind,source=nowhere,target=/c', 'nowhere'],
    ['--mount=type=bind,from=shell,source=/bin,target=/proc/x', '/proc'],
  ])('is refused where it leads nowhere or out: %s', async (flag, part) => {
    const link = 'RUN --mount=type=cache,id=l,target=/l ln -sfn /etc/nowhere /l/sel\n';
    const error = await errorOf(it.build(`${SHELL}FROM shell\n${flag.includes('sel') ? link : ''}RUN ${flag} true\n`));
    expect(error.message).toContain(part);
    expect(await readdir(join(it.root))).not.toContain('x');
  });

  test('resolves a source inside the image that it is of, also behind a link to the root', async () => {
    const built = await it.build(`${SHELL}
FROM shell AS odd
RUN ln -s / /rootdir && ln -s /etc /up && echo inside > /etc/hosts.own
FROM shell
RUN --mount=type=bind,from=odd,source=/rootdir,target=/r,rw ls /r/rootdir/bin/busybox && touch /r/canary
RUN --mount=type=bind,from=odd,source=/up,target=/e ls /e
`);
    expect(built.output).toBe('/r/rootdir/bin/busybox\nhosts.own\n');
    expect(await readdir('/')).not.toContain('canary');
  });
});

suite(named('secrets of a build'), () => {
  const secrets = [{ id: 'token', value: bytes('s3cr3t-canary-value\n') }];

  test('are a file, a variable or both, for that step alone', async () => {
    const built = await it.build(
      `${SHELL}FROM shell
RUN --mount=type=secret,id=token stat -c %u:%g:%a /run/secrets/token && test "$(cat /run/secrets/token)" = s3cr3t-canary""-value
RUN --mount=type=secret,id=token,target=/root/.netrc,mode=0440,uid=7,gid=8 stat -c %u:%g:%a /root/.netrc && \\
    ! echo x 2>/dev/null > /root/.netrc
RUN --mount=type=secret,id=token,env=TOKEN test \${#TOKEN} = 20 && test ! -e /run/secrets/token
RUN --mount=type=secret,id=other test ! -e /run/secrets/other
RUN --mount=type=secret,id=other,env=OTHER test "\${OTHER-unset}" = "" && test ! -e /run/secrets/other
RUN test ! -e /run/secrets && test -z "$TOKEN" && ! grep -r canary-value /proc/self/environ /proc/self/mountinfo
`,
      { secrets, complete: true },
    );
    expect(built.output).toBe('0:0:400\n7:8:440\n');
    const found = spawnGrep(['-rlF', 's3cr3t-canary-value', it.root]);
    expect(found).toBe('');
  });

  test('are named when they are required and missing', async () => {
    const error = await errorOf(it.build(`${SHELL}FROM shell\nRUN --mount=type=secret,id=absent,required true\n`));
    expect(error).toMatchObject({ code: 'SECRET_MISSING', hint: 'Give it with --secret id=absent,src=FILE' });
    expect(error.message).toContain('"absent"');
    expect(error.location?.startLine).toBe(5);
  });

  test('stop a build whose layer would hold them, in any form, and name every place', async () => {
    const text = `${SHELL}FROM shell
RUN --mount=type=secret,id=token cd /tmp && cp /run/secrets/token kept && base64 kept > coded && ln -s "$(cat kept)" link
`;
    const error = await errorOf(it.build(text, { secrets }));
    expect(error).toMatchObject({ code: 'SECRET_IN_LAYER', location: { startLine: 5 } });
    for (const place of ['/tmp/kept holds', '/tmp/coded holds the secret "token" in base64', '/tmp/link holds']) {
      expect(error.message).toContain(place);
    }
    const fixed = text.replace(/\n$/, ' && rm kept coded link\n');
    await it.build(fixed, { secrets });
    await it.build(text, { secrets, allowSecretInLayer: true });
  });

  test('stop a build that would put them into the configuration, before anything runs', async () => {
    const text = (line: string): string => `FROM scratch\nARG A\n${line}\nCOPY busybox /b\n`;
    for (const [line, request, part] of [
      ['ENV A=$A', { buildArgs: { A: 'x s3cr3t-canary-value' } }, 'the build argument A'],
      ['ENV B=s3cr3t-canary-value', {}, 'ENV B'],
      ['LABEL c=czNjcjN0LWNhbmFyeS12YWx1ZQ==', {}, 'LABEL c'],
      ['CMD ["s3cr3t-canary-value"]', {}, 'Cmd'],
    ] as const) {
      const error = await errorOf(it.build(text(line), { secrets, ...request }));
      expect(error).toMatchObject({ code: 'SECRET_IN_CONFIG' });
      expect(error.message).toContain(part);
      expect(error.message).not.toContain('canary');
    }
    const known = [{ id: 'password', value: bytes('hunter2-hunter2') }];
    await it.write({ 'conf/app.ini': 'password = hunter2-hunter2\n' });
    const error = await errorOf(it.build('FROM scratch\nCOPY conf /conf\n', { knownSecrets: known }));
    expect(error.message).toContain('/conf/app.ini holds the secret "password"');
  });
});

suite(named('the agent of a build'), () => {
  test('answers at the mode and owner that were asked for, and is gone afterwards', async () => {
    const socket = join(it.context, '..', 'agent.sock');
    const agent = createServer();
    await new Promise<void>((resolve) => agent.listen(socket, resolve));
    try {
      const built = await it.build(
        `${SHELL}FROM shell
RUN --mount=type=ssh,mode=0660,uid=1000,gid=1001 stat -c %u:%g:%a:%F "$SSH_AUTH_SOCK"
RUN --mount=type=ssh,id=other test ! -e /run/buildkit && test "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0
`,
        { ssh: [{ id: 'default', socket }] },
      );
      expect(built.output).toContain('1000:1001:660:socket\n');
    } finally {
      agent.close();
    }
    const error = await errorOf(it.build(`${SHELL}FROM shell\nRUN --mount=type=ssh,required true\n`));
    expect(error).toMatchObject({ code: 'SSH_AGENT_MISSING', hint: 'Give it with --ssh default' });
  });
});

suite(named('RUN'), () => {
  test('has the network, hosts, memory and limits that the build gives it', async () => {
    const text = `${SHELL}FROM shell
RUN --network=none ls /sys/class/net && grep -c model.test /etc/hosts
RUN grep model.test /etc/hosts && df /dev/shm | grep -q 2048 && ulimit -n
`;
    const request = {
      extraHosts: [{ name: 'model.test', address: '192.0.2.7' }],
      shmSize: 2 * 1024 * 1024,
      ulimits: [{ name: 'nofile', soft: 77, hard: 78 }],
    };
    const built = await it.build(text, request);
    expect(built.output).toBe('lo\n1\n192.0.2.7\tmodel.test\n77\n');
    const moved = { ...request, extraHosts: [{ name: 'model.test', address: '192.0.2.8' }] };
    expect((await it.build(text, moved)).steps.executed).toBe(0);
    expect((await it.build(text, { ...request, network: 'none' })).steps.executed).toBe(3);
    const named = async (name: string): Promise<string> => {
      const buildArgs = { BUILDKIT_SANDBOX_HOSTNAME: name };
      return (await it.build(`${SHELL}FROM shell\nRUN hostname && grep -c builder.test /etc/hosts\n`, { buildArgs }))
        .output;
    };
    expect(await named('builder.test')).toBe('builder.test\n1\n');
    await expect(named('no name')).rejects.toThrow('is no name of a host');
  });

  test('takes here-documents in all forms, and leaves no trace of where a script was mounted', async () => {
    const built = await it.build(
      `${SHELL}FROM shell
ENV WHO=world
RUN <<END
echo "plain $WHO"
END
RUN <<'END'
echo "quoted $WHO"
END
RUN <<-END
\techo "tabs $WHO"
\tEND
RUN cat <<ONE - /dev/fd/3 3<<'TWO' | tr a-z A-Z
first $WHO
ONE
second $WHO
TWO
RUN <<SCRIPT
#!/bin/cat
prints itself $WHO
SCRIPT
`,
      { complete: true },
    );
    const script = '#!/bin/cat\nprints itself $WHO\n';
    expect(built.output).toBe(`plain world\nquoted world\ntabs world\nFIRST WORLD\nSECOND $WHO\n${script}`);
    // Steps that changed nothing have no layer: busybox and its links are all there is.
    expect(await topLayer(built)).toContain('bin/yes');
    const failed = `${SHELL}FROM shell\nSHELL ["/bin/sh", "-e", "-c"]\nRUN <<END\nfalse\necho never\nEND\n`;
    expect(await errorOf(it.build(failed))).toMatchObject({ code: 'RUN_FAILED', log: [] });
  });

  test('fires the triggers of its base, an image or a stage, before its own instructions', async () => {
    await it.write({ 'app.txt': 'app' });
    const base = `${SHELL}FROM shell
ONBUILD COPY app.txt /app.txt
ONBUILD RUN --mount=type=cache,target=/c cat /app.txt && echo " fired \$A"
`;
    const built = await it.build(base, { tags: ['trigger-base'] });
    expect(built.config.OnBuild).toHaveLength(2);
    const { output, config } = await it.build('FROM trigger-base\nARG A=own\nRUN echo then $A\n');
    expect(output).toBe('app fired \nthen own\n');
    expect(config.OnBuild).toBeUndefined();
    const staged = await it.build(`${base.replace('FROM shell\n', 'FROM shell AS base\n')}FROM base\nRUN echo then\n`);
    expect(staged.output).toContain('then\n');
  });
});

suite(named('a context with links'), () => {
  test('mounts what they lead to inside of it, and nothing outside', async () => {
    await it.write({ 'real/a.txt': 'inside' });
    await mkdir(join(it.context, 'links'));
    await symlink('/real', join(it.context, 'links/in'));
    await symlink('/etc', join(it.context, 'links/out'));
    const built = await it.build(`${SHELL}FROM shell\nRUN --mount=source=links/in,target=/m cat /m/a.txt\n`);
    expect(built.output).toBe('inside');
    const error = await errorOf(it.build(`${SHELL}FROM shell\nRUN --mount=source=links/out,target=/m ls /m\n`));
    expect(error.message).toContain('no such file');
  });
});

suite(named('what caches keep'), () => {
  test('is counted as build cache, and goes with it', async () => {
    const size = async (): Promise<number> =>
      (await it.engine.system.df()).find(({ kind }) => kind === 'cache')?.bytes ?? 0;
    await it.engine.system.prune();
    const before = await size();
    await it.build(`${SHELL}FROM shell\nRUN --mount=type=cache,id=big,target=/c head -c 3000000 /dev/zero > /c/big\n`);
    expect((await size()) - before).toBeGreaterThanOrEqual(3_000_000);
    await it.engine.system.prune();
    expect((await size()) - before).toBeGreaterThanOrEqual(3_000_000);
    const pruned = await it.engine.system.prune({ all: true });
    expect(pruned.removed.some((name) => name.startsWith('cache-mounts/'))).toBe(true);
    expect(await readdir(join(it.root, 'cache-mounts/root'))).toEqual([]);
  });

  test('is for builds of one scope, is brought to another from outside only, and an old copy outlives a failure to pack', async () => {
    const now = new Date();
    const step = (does: string): string =>
      `${SHELL}FROM shell\nRUN --mount=type=cache,id=scoped,target=/c ls /c && ${does}\n`;
    const [main, fork] = [await it.again({ cacheMountScope: 'main' }), await it.again({ cacheMountScope: 'fork' })];
    const outputOf = async (engine: Engine, dockerfile: string, more: Partial<BuildRequest> = {}): Promise<string> =>
      (await buildWith(engine, { context: it.context, dockerfile, ...more })).output;
    expect(await outputOf(fork, step('echo poison > /c/poison'))).toBe('');
    expect(await outputOf(main, step('echo good > /c/good'))).toBe('');
    const saved = await main.cache.mounts.export(now, { available: new Set(), maxSize: 1e9 });
    const [record] = saved.records;
    const blob = record?.blob;
    const bytes = await readFile(saved.blobs[0]?.path ?? '');
    if (!record || !blob) throw new Error('nothing was packed');

    const other = await it.again({
      cacheMountScope: 'another ref',
      cacheSource: {
        fetch: async function* () {
          yield await Promise.resolve(bytes);
        },
      },
    });
    const available = new Set([blob.digest]);
    expect(other.cache.mounts.import(saved.records, available)).toBe(1);
    expect(await outputOf(other, step('echo more > /c/more'))).toBe('good\n');
    const large = await other.cache.mounts.export(now, { available, maxSize: 1 });
    expect(large.leftOut).toHaveLength(1);
    expect(large.records).toEqual([{ ...record, usedAt: now.toISOString() }]);
    const packed = await other.cache.mounts.export(now, { available, maxSize: 1e9 });
    expect(packed.records).toMatchObject([{ name: record.name }]);
    expect(packed.records[0]?.blob).not.toEqual(blob);
    for (const engine of [main, fork, other]) await engine.close();
  });
});

function spawnGrep(args: readonly string[]): string {
  try {
    return execFileSync('grep', args, { encoding: 'utf8' });
  } catch {
    return '';
  }
}

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmod, copyFile, mkdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Berth, createBerth, NO_CONTAINERS } from '../../helpers/berth.ts';

const BUSYBOX = '/bin/busybox';
const reason = NO_CONTAINERS ?? (existsSync(BUSYBOX) ? undefined : `no ${BUSYBOX}: install busybox-static`);

(reason === undefined ? describe : describe.skip)(`containers${reason === undefined ? '' : `: ${reason}`}`, () => {
  let store: Berth;
  const berth = (...args: readonly string[]) => store.berth(args);

  beforeAll(async () => {
    store = await createBerth();
    const context = join(store.work, 'context');
    await mkdir(join(context, 'bin'), { recursive: true });
    await mkdir(join(context, 'etc'));
    await copyFile(BUSYBOX, join(context, 'bin/busybox'));
    await chmod(join(context, 'bin/busybox'), 0o755);
    await writeFile(join(context, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n');
    await writeFile(join(context, 'etc/group'), 'root:x:0:\napp:x:1001:\nvideo:x:44:app\n');
    await writeFile(
      join(context, 'Dockerfile'),
      [
        'FROM scratch',
        'COPY . /',
        'RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && mkdir -p /srv /data /tmp && echo hello > /srv/index.html && echo seed > /data/seed"]',
        'ENV GREETING=hi PATH=/bin',
        'EXPOSE 8000',
        'VOLUME /data',
        'WORKDIR /srv',
        'CMD ["sh", "-c", "echo default"]',
      ].join('\n'),
    );
    const built = await store.berth(['build', '-q', '-t', 'box', context]);
    if (built.code !== 0) throw new Error(`the image of these tests was not built: ${built.stderr}`);
  });

  afterAll(async () => {
    const { stdout } = await berth('ps', '-aq', '--no-trunc');
    const ids = stdout.split('\n').filter(Boolean);
    if (ids.length > 0) await berth('rm', '-f', ...ids);
    await store.remove();
  });

  describe('run', () => {
    test.each([
      [['box'], 0, 'default\n'],
      [['box', 'echo', '-n', 'x'], 0, 'x'],
      [['box', 'sh', '-c', 'exit 7'], 7, ''],
      [['box', 'no-such-command'], 127, ''],
      [['box', '/srv/index.html'], 126, ''],
      [['--entrypoint', 'echo', 'box', 'a', 'b'], 0, 'a b\n'],
      [['-e', 'GREETING=ho', '-e', 'X=1', 'box', 'sh', '-c', 'echo $GREETING $X $HOME $PWD'], 0, 'ho 1 /root /srv\n'],
      [['-w', '/data', 'box', 'pwd'], 0, '/data\n'],
      [['-u', 'app', 'box', 'id'], 0, 'uid=1000(app) gid=1001(app) groups=44(video),1001(app)\n'],
      [['-u', '4242:7', 'box', 'id', '-g'], 0, '7\n'],
      [['--hostname', 'here', 'box', 'hostname'], 0, 'here\n'],
      [['--read-only', '--tmpfs', '/data', 'box', 'touch', '/x'], 1, ''],
      [['box', 'cat', '/data/seed'], 0, 'seed\n'],
    ])('%j ends with %i', async (args, code, stdout) => {
      expect(await berth('run', '--rm', ...args)).toMatchObject({ code, stdout });
    });

    test('keeps the two streams apart and hands on standard input', async () => {
      const { stdout, stderr } = await store.berth(['run', '--rm', '-i', 'box', 'sh', '-c', 'cat; echo err >&2'], {
        input: 'typed\n',
      });
      expect([stdout, stderr]).toEqual(['typed\n', 'err\n']);
    });

    test.each([
      [['-u', 'ghost', 'box'], 'unable to find user ghost'],
      [['-u', '4294967296', 'box'], 'out of range'],
      [['-v', '..x:/m:bogus', 'box'], 'bogus'],
      [['--mount', 'type=bind,source=/no/such,target=/m', 'box'], 'bind source path does not exist'],
      [['--pull', 'never', 'no-such-image'], 'no-such-image'],
    ])('refuses %j with 125', async (args, message) => {
      const { code, stderr } = await berth('run', '--rm', ...args);
      expect(stderr).toContain(message);
      expect(code).toBe(125);
    });

    test('leaves files on the host with the owner that the process had, and makes a missing directory', async () => {
      const models = join(store.work, 'made/models');
      const { code } = await berth(
        'run',
        '--rm',
        '-v',
        `${models}:/models`,
        'box',
        'sh',
        '-c',
        'echo m > /models/a; chown 1000:1001 /models/a; echo r > /models/b',
      );
      expect(code).toBe(0);
      const [a, b] = await Promise.all(['a', 'b'].map(async (name) => await stat(join(models, name))));
      expect([a?.uid, a?.gid, b?.uid]).toEqual([1000, 1001, 0]);
      const readonly = await berth('run', '--rm', '-v', `${models}:/models:ro`, 'box', 'touch', '/models/c');
      expect(readonly.code).toBe(1);
      expect(await readFile(join(models, 'a'), 'utf8')).toBe('m\n');
    });

    test('hands SIGTERM on to the process and gives its exit code', async () => {
      const outcome = await store.berth(
        ['run', '--rm', 'box', 'sh', '-c', 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'],
        {
          onStart: (child) => child.stdout?.on('data', () => child.kill('SIGTERM')),
        },
      );
      expect(outcome.code).toBe(9);
    });

    test('leaves no folder of ci behind when a second signal ends it at once', async () => {
      const [context, TMPDIR] = [join(store.work, 'waits'), join(store.work, 'tmp')];
      await mkdir(context);
      await mkdir(TMPDIR);
      await writeFile(join(context, 'Dockerfile'), 'FROM box\nRUN --network=none echo begun; sleep 60\n');
      const seen: (readonly string[])[] = [];
      const { code, stderr } = await store.berth(['ci', '--progress', 'plain', '--smoke-test', 'off', context], {
        env: { TMPDIR },
        onStart: (child) =>
          child.stderr?.on('data', (chunk: Buffer) => {
            if (seen.length > 0 || !/^#\d+ \d.* begun$/m.test(chunk.toString())) return;
            seen.push(readdirSync(TMPDIR));
            child.kill('SIGINT');
            child.kill('SIGTERM');
          }),
      });
      expect({ seen, stderr }).toMatchObject({ seen: [[expect.stringMatching(/^berth-ci-/)]] });
      expect([130, 143]).toContain(code);
      expect(readdirSync(TMPDIR)).toEqual([]);
    });
  });

  test('a detached container is listed, logged, entered, stopped, kept and removed', async () => {
    const started = await berth(
      'run',
      '-d',
      '--name',
      'web',
      '-l',
      'team=ml',
      'box',
      'sh',
      '-c',
      'echo one; echo two >&2; trap "exit 3" TERM; while :; do sleep 0.1; done',
    );
    expect(started.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    const id = started.stdout.trim();

    expect((await berth('ps', '--format', '{{.Platform}} {{json .Platform}}')).stdout).toMatch(
      /^linux\/\w+ \{"architecture":"\w+","os":"linux"\}\n/,
    );
    expect((await berth('ps', '--format', '{{.ID}} {{.Names}} {{.State}} {{.Image}}')).stdout).toBe(
      `${id.slice(0, 12)} web running box\n`,
    );
    expect((await berth('ps', '-q', '--no-trunc', '--filter', 'label=team=ml')).stdout).toBe(`${id}\n`);
    expect((await berth('ps', '-q', '--filter', 'label=team=web')).stdout).toBe('');

    const conflict = await berth('run', '--name', 'web', 'box');
    expect(conflict.code).toBe(125);
    expect(conflict.stderr).toContain(`Conflict. The container name "/web" is already in use by container "${id}"`);

    const exec = await berth(
      'exec',
      '-e',
      'A=b',
      '-u',
      'app',
      '-w',
      '/data',
      'web',
      'sh',
      '-c',
      'echo $A $GREETING $HOME $(pwd) $(id -u); exit 4',
    );
    expect(exec).toMatchObject({ code: 4, stdout: 'b hi /home/app /data 1000\n' });
    expect((await berth('exec', 'web', 'nope')).code).toBe(127);
    // What is looked at when the command begins to work is 1, a word that is no flag 125.
    expect(await berth('exec', '--detach-keys', 'ctrl-1', 'web', 'true')).toMatchObject({ code: 1, stdout: '' });
    expect(await berth('exec', '--env-file', '/no/such', 'web', 'true')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('open /no/such: no such file or directory'),
    });
    for (const command of [
      ['attach', 'web'],
      ['start', '-a', 'web'],
    ] as const) {
      expect((await berth(command[0], '--detach-keys', 'ctrl-1', ...command.slice(1))).code).toBe(1);
    }
    expect((await berth('exec', '-e', '=x', 'web', 'true')).code).toBe(125);
    expect((await berth('exec', '', 'true')).stderr).toContain('the name or id is empty');
    expect(await berth('exec', '-w', '/nowhere', 'web', 'true')).toMatchObject({
      code: 127,
      stderr: expect.stringContaining('hint: give -w a directory that is in the container, not /nowhere'),
    });
    expect((await berth('exec', '-w', '/etc/passwd', 'web', 'true')).code).toBe(127);
    const refused = "the working directory 'data' is invalid, it needs to be an absolute path\nhint: -w /data\n";
    for (const [code, ...words] of [
      [128, 'exec', '-w', 'data', 'web'],
      [1, 'exec', '-d', '-w', 'data', 'web'],
      [125, 'run', '-w', 'data', 'box'],
      [1, 'create', '-w', 'data', 'box'],
    ] as const) {
      const outcome = await berth(...words, 'true');
      expect(outcome).toMatchObject({ code, stderr: expect.stringContaining(refused) });
    }

    expect(
      (await berth('inspect', '-f', '{{.Name}} {{.State.Status}} {{json .Config.Labels}}', id.slice(0, 8))).stdout,
    ).toBe('/web running {"team":"ml"}\n');

    expect((await berth('rm', 'web')).stderr).toContain('container is running');
    expect(await berth('stop', 'web')).toMatchObject({ code: 0, stdout: 'web\n' });
    expect((await berth('wait', 'web')).stdout).toBe('3\n');
    const logs = await berth('logs', 'web');
    expect([logs.stdout, logs.stderr]).toEqual(['one\n', 'two\n']);
    expect((await berth('logs', '-t', '-n', '1', 'web')).stderr).toMatch(/^\d{4}-\d\d-\d\dT\S+Z two\n$/);
    expect((await berth('exec', 'web', 'true')).stderr).toContain('is not running');
    expect((await berth('container', 'ls', '-a', '--format', '{{.Status}}', '--filter', 'name=web')).stdout).toMatch(
      /^Exited \(3\)/,
    );

    expect(await berth('rm', 'web')).toMatchObject({ code: 0, stdout: 'web\n' });
    expect((await berth('inspect', 'web')).code).toBe(1);
    expect((await berth('rm', '-f', 'web')).code).toBe(0);
  });

  test('a published port answers from the host and is gone after kill', async () => {
    const { stdout } = await berth(
      'run',
      '-d',
      '-p',
      '127.0.0.1::8000',
      'box',
      'httpd',
      '-f',
      '-p',
      '8000',
      '-h',
      '/srv',
    );
    const id = stdout.trim();
    const port = /"HostPort":"(\d+)"/.exec((await berth('inspect', '-f', '{{json .NetworkSettings}}', id)).stdout)?.[1];
    expect((await berth('ps', '--format', '{{.Ports}}', '--filter', `id=${id}`)).stdout).toBe(
      `127.0.0.1:${port}->8000/tcp\n`,
    );
    expect(await answer(`http://127.0.0.1:${port}/`)).toBe('hello\n');
    expect((await berth('kill', id)).code).toBe(0);
    expect((await berth('wait', id)).stdout).toBe('137\n');
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    expect((await berth('rm', id)).code).toBe(0);
  });

  test('a volume begins with what the image has, is shared, kept, listed and removed', async () => {
    // Anonymous volumes of containers that were removed without -v stay, as with Docker.
    expect((await berth('volume', 'prune', '-f')).code).toBe(0);
    const first = await berth(
      'run',
      '--rm',
      '-v',
      'models:/data',
      'box',
      'sh',
      '-c',
      'cat /data/seed; echo more > /data/b',
    );
    expect(first).toMatchObject({ code: 0, stdout: 'seed\n' });
    const second = await berth(
      'run',
      '--rm',
      '--mount',
      'type=volume,src=models,dst=/m,ro',
      'box',
      'sh',
      '-c',
      'ls /m; touch /m/x',
    );
    expect(second).toMatchObject({ code: 1, stdout: 'b\nseed\n' });
    expect((await berth('run', '--rm', '-v', 'empty:/data:nocopy', 'box', 'ls', '/data')).stdout).toBe('');
    await berth('volume', 'create', '--label', 'team=ml', 'labelled');
    await berth('run', '--name', 'user', '-v', 'models:/data', '-v', '/scratch', 'box', 'true');
    expect((await berth('run', '--rm', '--volumes-from', 'user', 'box', 'ls', '/data')).stdout).toBe('b\nseed\n');

    expect((await berth('volume', 'ls', '-q', '--filter', 'label=team')).stdout).toBe('labelled\n');
    expect((await berth('volume', 'ls', '--format', '{{.Name}} {{.Links}}', '-f', 'name=models')).stdout).toBe(
      'models 1\n',
    );
    expect((await berth('ps', '-a', '--filter', 'volume=models', '--format', '{{.Names}}')).stdout).toBe('user\n');
    const mountpoint = (await berth('volume', 'inspect', '-f', '{{.Mountpoint}}', 'models')).stdout.trim();
    expect(await readFile(join(mountpoint, 'b'), 'utf8')).toBe('more\n');

    const refused = await berth('volume', 'rm', 'models', 'nope', 'empty');
    expect(refused).toMatchObject({ code: 1, stdout: 'empty\n' });
    expect(refused.stderr).toContain('volume is in use');
    expect(refused.stderr).toContain('no such volume');
    expect((await berth('volume', 'rm', '-f', 'nope')).code).toBe(0);
    // /scratch goes with its container; what has a name stays.
    expect((await berth('volume', 'ls', '-q')).stdout.split('\n')).toHaveLength(4);
    await berth('rm', '-v', 'user');
    expect((await berth('volume', 'ls', '-q')).stdout).toBe('labelled\nmodels\n');
    expect((await store.berth(['volume', 'prune'], { input: 'n\n' })).stdout).toContain('Are you sure');
    expect((await berth('volume', 'prune', '-af', '--filter', 'label!=team')).stdout).toContain(
      'Deleted Volumes:\nmodels\n',
    );
    expect((await berth('volume', 'rm', 'labelled')).code).toBe(0);
  });

  test('copies into and out of containers that run and that have ended, and through a tar', async () => {
    const here = join(store.work, 'copies');
    await mkdir(join(here, 'tree/sub'), { recursive: true });
    await writeFile(join(here, 'tree/sub/a'), 'mine\n', { mode: 0o640 });
    await berth('run', '-d', '--name', 'live', '-v', 'shared:/vol', 'box', 'sleep', '600');
    await berth(
      'run',
      '--name',
      'done',
      '-v',
      'shared:/vol',
      'box',
      'sh',
      '-c',
      'echo out > /srv/out; ln -s out /srv/link; ln -s /nowhere /srv/evil',
    );

    for (const name of ['live', 'done']) {
      expect((await berth('cp', '-q', join(here, 'tree'), `${name}:/srv/`)).stderr).toBe('');
      expect((await berth('cp', '--quiet=false', `${join(here, 'tree')}/.`, `${name}:/srv/flat`)).stderr).toMatch(
        /Successfully copied .* to \w+:\/srv\/flat/,
      );
      expect((await berth('cp', `${name}:/srv/tree/sub/a`, '-')).stdout).toContain('mine\n');
      expect(await berth('cp', `${name}:/srv/flat/sub/a`, join(here, name))).toMatchObject({ code: 0 });
      expect(await readFile(join(here, name), 'utf8')).toBe('mine\n');
    }
    expect((await berth('exec', 'live', 'cat', '/srv/flat/sub/a')).stdout).toBe('mine\n');
    await berth('cp', join(here, 'tree/sub/a'), 'done:/vol/shared');
    expect((await berth('exec', 'live', 'cat', '/vol/shared')).stdout).toBe('mine\n');

    await berth('cp', 'done:/srv/link', here);
    expect(await readlink(join(here, 'link'))).toBe('out');
    await berth('cp', '-L', 'done:/srv/link', join(here, 'followed'));
    expect(await readFile(join(here, 'followed'), 'utf8')).toBe('out\n');
    const piped = await store.pipe(['cp', 'done:/srv/tree', '-'], ['cp', '-', 'live:/data']);
    expect(piped.code).toBe(0);
    expect((await berth('exec', 'live', 'cat', '/data/tree/sub/a')).stdout).toBe('mine\n');

    const refusals: readonly (readonly [readonly string[], number, string])[] = [
      [['done:/no/such', here], 1, 'there is no such file or directory'],
      [['done:/srv/out', `${here}/nope/`], 1, 'no such directory'],
      [[join(here, 'tree'), 'done:/srv/out'], 1, 'cannot copy a directory to a file'],
      [['done:/srv', 'live:/srv'], 1, 'copying between containers is not supported'],
      [['ghost:/srv', here], 1, 'No such container: ghost'],
      [[here, here], 1, 'must specify at least one container source'],
      [['live:/proc', here], 1, 'a file system of the kernel'],
    ];
    for (const [args, code, message] of refusals) {
      const outcome = await berth('cp', ...args);
      expect(outcome.stderr).toContain(message);
      expect(outcome.code).toBe(code);
    }
    expect((await berth('rm', '-f', 'live', 'done')).code).toBe(0);
    expect((await berth('volume', 'rm', 'shared')).code).toBe(0);
  });

  test('a container with --rm leaves nothing, and the store is clean', async () => {
    await berth('run', '--rm', '--name', 'gone', 'box', 'true');
    expect((await berth('ps', '-a', '-q', '--filter', 'name=gone')).stdout).toBe('');
    const fsck = await berth('system', 'fsck');
    expect(fsck.stdout).toContain('The store is clean');
    expect(fsck.code).toBe(0);
  });
});

/** The answer of a server that may still be starting: the port listens before the program behind it does. */
async function answer(url: string): Promise<string> {
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return await response.text();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

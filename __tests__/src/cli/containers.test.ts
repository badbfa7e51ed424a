import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmod, copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
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
      [['-v', 'models:/m', 'box'], 'named volumes are not supported yet'],
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

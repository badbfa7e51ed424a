import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Berth, createBerth, NO_CONTAINERS } from '../../helpers/berth.ts';

const BUSYBOX = '/bin/busybox';
const reason = NO_CONTAINERS ?? (existsSync(BUSYBOX) ? undefined : `no ${BUSYBOX}: install busybox-static`);

/** What a program tries against its machine and against who started it; each says its word only when it got through. */
const ATTACKS = `
ulimit -Sn $(($(ulimit -Hn) + 1)) 2>/dev/null && echo limit
nice -n -5 true 2>/dev/null && echo nice
renice -n -5 -p 1 >/dev/null 2>&1 && echo renice
echo -1000 2>/dev/null > /proc/self/oom_score_adj && echo oom
date -s 2001-01-01 >/dev/null 2>&1; test $(date +%Y) = 2001 && echo clock
adjtimex -t 9000 2>&1 | grep -q 'tick: *9000' && echo ticks
hostname other 2>/dev/null && echo hostname
head -c 1 /proc/1/mem >/dev/null 2>&1 && echo memory
cat /proc/1/environ 2>/dev/null | grep -q . && echo environment
(echo x > /dev/tty) 2>/dev/null && echo terminal
mount -t tmpfs x /tmp 2>/dev/null && echo mount
unshare -U true 2>/dev/null && echo namespace
awk '{ print "tty", $7, "session", ($6 == $1 || $6 == 0 || $6 == 1 || $6 == 2) ? "own" : $6 }' /proc/self/stat
`;

(reason === undefined ? describe : describe.skip)(`hostile content${reason === undefined ? '' : `: ${reason}`}`, () => {
  let store: Berth;
  let context = '';
  const dockerfile = async (text: string): Promise<void> => await writeFile(join(context, 'Dockerfile'), text);
  const SHELL =
    'FROM scratch\nCOPY --chmod=755 busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n';

  beforeAll(async () => {
    store = await createBerth();
    context = join(store.work, 'context');
    await mkdir(context);
    await copyFile(BUSYBOX, join(context, 'busybox'));
    await writeFile(join(context, 'file'), 'of the context\n', { mode: 0o640 });
    await dockerfile(`${SHELL}COPY file /../../up\nRUN mkdir /tmp\nENV PATH=/bin\n`);
    const built = await store.berth(['build', '-q', '-t', 'box', context]);
    if (built.code !== 0) throw new Error(`the image of these tests was not built: ${built.stderr}`);
  });
  afterAll(async () => await store.remove());

  test('a program cannot raise its limits, change the clock or the host name, or reach its init and a terminal', async () => {
    const clock = Date.now();
    const { code, stdout, stderr } = await store.berth([
      'run',
      '--rm',
      '--init',
      '--network',
      'none',
      'box',
      'sh',
      '-c',
      ATTACKS,
    ]);
    expect({ stdout, stderr, code }).toEqual({ stdout: 'tty 0 session own\n', stderr: '', code: 0 });
    expect(Date.now() - clock).toBeLessThan(3_600_000);
    expect(hostname()).not.toBe('other');
  });

  test('a destination that climbs out of the root lands in it', async () => {
    const { stdout } = await store.berth(['run', '--rm', '--network', 'none', 'box', 'sh', '-c', 'cat /up']);
    expect(stdout).toBe('of the context\n');
    expect(existsSync('/up')).toBe(false);
  });

  test.each([
    ['mkfifo $f', 'a FIFO is no regular file'],
    ['mkdir $f', 'a directory is no regular file'],
    ['mknod $f c 1 5', 'a character device is no regular file'],
    ['truncate -s 11M $f', 'the file has 11534336 bytes, the limit is 10485760'],
    ['ln -s ${f##*/} $f', 'more than 40 symbolic links'],
  ])('an account file that is none is refused by name, and nothing waits for it: %s', async (making, why) => {
    for (const file of ['/etc/passwd', '/etc/group']) {
      await dockerfile(`${SHELL}ENV PATH=/bin\nRUN mkdir -p /etc; f=${file}; ${making}\n`);
      expect(await store.berth(['build', '-q', '-t', 'accounts', context])).toMatchObject({ code: 0, stderr: '' });
      for (const user of ['0', 'nobody']) {
        const ran = await store.berth(['run', '--rm', '--network', 'none', '-u', user, 'accounts', 'true']);
        expect(ran).toMatchObject({ code: 125, stdout: '' });
        expect(ran.stderr).toMatch(new RegExp(`^berth: Cannot read ${file} of the image: .*${why}`));
      }
      await dockerfile('FROM accounts\nUSER nobody\nRUN true\n');
      const built = await store.berth(['build', '-q', context]);
      expect(built.stderr).toContain(`Cannot read ${file} of the image`);
      expect(built.code).not.toBe(0);
    }
  });

  test('an account file that leads out of the image names nobody of the machine', async () => {
    await dockerfile(
      `${SHELL}ENV PATH=/bin\nRUN mkdir -p /etc /up; ln -s ../../../../../../etc/shadow /etc/passwd; ln -s /proc/self/status /etc/group\n`,
    );
    expect((await store.berth(['build', '-q', '-t', 'accounts', context])).code).toBe(0);
    const ran = await store.berth(['run', '--rm', '--network', 'none', '-u', 'root', 'accounts', 'true']);
    expect(ran.stderr).toContain('unable to find user root: no matching entries in /etc/passwd');
    expect((await store.berth(['run', '--rm', '--network', 'none', '-u', '0', 'accounts', 'true'])).code).toBe(0);
  });

  test('a label of an image says nothing to the helper, and no annotation can', async () => {
    const labels =
      'berth.volumes=a berth.requested-rlimits=RLIMIT_NOFILE io.containerd.runc.v2=x run.oci.hooks=/bin/sh';
    await dockerfile(`FROM box\nLABEL ${labels}\n`);
    expect(
      (await store.berth(['build', '-q', '-t', 'labelled', '--annotation', 'berth.volumes=a', context])).code,
    ).toBe(0);
    const { stdout } = await store.berth(['create', '--network', 'none', 'labelled', 'true']);
    const config = JSON.parse(await readFile(join(store.root, 'containers', stdout.trim(), 'config.json'), 'utf8')) as {
      readonly annotations: unknown;
      readonly hooks?: unknown;
    };
    expect([config.annotations, config.hooks]).toEqual([{}, undefined]);
    await store.berth(['rm', stdout.trim()]);
    const refused = await store.berth(['run', '--annotation', 'berth.volumes=a', 'box', 'true']);
    expect(refused).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('Cannot set annotation berth.volumes'),
    });
  });

  test('five thousand files, a path near the longest and crossed hard links are in the layer, each once', async () => {
    const name = 'n'.repeat(255);
    const script = [
      'mkdir /many /a /b; cd /many; seq 1 5000 | xargs touch',
      'cd /a; echo 1 > 1; cd /b; echo 2 > 1; ln /a/1 /b/2; ln /b/1 /a/2',
      `mkdir /deep; cd /deep; for at in $(seq 1 15); do mkdir ${name}; cd ${name}; done; echo deep > ${'f'.repeat(200)}`,
    ].join('; ');
    await dockerfile(`${SHELL}RUN ${script}\n`);
    const archive = join(store.work, 'many.tar');
    const built = await store.berth(['build', '-q', '-o', `type=tar,dest=${archive}`, context]);
    expect(built).toMatchObject({ code: 0, stderr: '' });
    const lines = execFileSync('tar', ['tvf', archive], { maxBuffer: 1 << 24 })
      .toString()
      .split('\n');
    expect(lines.filter((line) => / many\/\d+$/.test(line))).toHaveLength(5000);
    expect(
      lines.flatMap((line) => / ([ab]\/\d) link to ([ab]\/\d)$/.exec(line)?.slice(1).join('=') ?? []).sort(),
    ).toEqual(['b/1=a/2', 'b/2=a/1']);
    const deepest = lines.map((line) => / (deep\/.*)$/.exec(line)?.[1] ?? '').sort((a, b) => b.length - a.length)[0];
    expect(deepest).toBe(`deep/${`${name}/`.repeat(15)}${'f'.repeat(200)}`);
    // Where no path of the machine leads to the end of it, a prune takes it away all the same.
    expect(await store.berth(['builder', 'prune', '-af'])).toMatchObject({ code: 0, stderr: '' });
  });

  test('the digest does not depend on the caller: on the umask, or on where home is', async () => {
    await dockerfile('FROM scratch\nCOPY file /file\nWORKDIR /a/b\nENV A=1\n');
    const args = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '-o', 'type=image,rewrite-timestamp=true'];
    const settings = ['umask 022', 'umask 077', 'umask 000', 'unset HOME', 'HOME=/proc/nothing; export HOME'];
    const builds = settings.map(async (setting, index) => {
      const options = {
        through: ['sh', '-c', `${setting}; exec "$@"`, 'sh'],
        env: { BERTH_ROOT: join(store.work, `fresh-${index}`) },
      };
      const { stdout, stderr, code } = await store.berth(['build', '-q', ...args, context], options);
      expect({ setting, stderr, code }).toEqual({ setting, stderr: '', code: 0 });
      return stdout;
    });
    const ids = await Promise.all(builds);
    expect([...new Set(ids)]).toEqual([expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/)]);
  });

  test('a full disk is named, fails the step alone and leaves the store whole', async () => {
    const small = join(store.work, 'small');
    await mkdir(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m,mode=755', 'small', small]);
    try {
      const env = { BERTH_ROOT: join(small, 'store') };
      await dockerfile(`${SHELL}RUN dd if=/dev/zero of=/big bs=1M count=64\n`);
      const built = await store.berth(['build', '--progress', 'plain', context], { env });
      expect(built.stderr).toMatch(/No space left on device/);
      expect(built.code).not.toBe(0);
      expect(await store.berth(['system', 'fsck'], { env })).toMatchObject({
        code: 0,
        stdout: expect.not.stringContaining('problem: '),
      });
      await dockerfile(`${SHELL}RUN echo fits\n`);
      expect((await store.berth(['build', '-q', '-t', 'fits', context], { env })).code).toBe(0);
      // What writes nothing works on a store that cannot be written.
      execFileSync('mount', ['-o', 'remount,ro', small]);
      expect((await store.berth(['images', '-q'], { env })).stdout).toMatch(/^[0-9a-f]{12}\n/);
      const ran = await store.berth(['run', '--rm', 'fits', 'true'], { env });
      expect(ran.stderr).toMatch(/Read-only file system.*\nhint: Set BERTH_ROOT/);
      expect(ran.code).toBe(125);
    } finally {
      execFileSync('umount', ['-l', small]);
    }
  });
});

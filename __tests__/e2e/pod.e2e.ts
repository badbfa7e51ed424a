import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { removeAccounts, takeAccount, type AccountKind } from './support/account.ts';
import { makeJob, MOMENTS, startJob, strike } from './support/job.ts';
import { leftovers, leftoversAfter } from './support/leftovers.ts';
import { NO_POD, startPod, type Pod, type PodOptions } from './support/pod.ts';
import { startBaseRegistry, type BaseRegistry } from './support/registry.ts';
import { createWorld, type World } from './support/world.ts';

const suite = NO_POD === undefined ? describe : describe.skip;
if (NO_POD !== undefined) console.log(`pod: ${NO_POD}`);

suite('a pod without privileges', () => {
  let registry: BaseRegistry;
  beforeAll(async () => {
    registry = await startBaseRegistry();
  });
  afterAll(async () => {
    await registry.stop();
    removeAccounts();
  });

  describe.each<[AccountKind, string, RegExp, string]>([
    ['root', 'userns-full', /root: not possible: unshare: .*SYS_ADMIN/, 'full-'],
    ['sudo', 'userns-full through sudo', /root: not possible: unshare: .*SYS_ADMIN/, 'full-'],
    ['subuid', 'userns', /userns-full: not possible: be root: .*Run as root, or allow `sudo -n`/, 'sub-'],
  ])('as %s', (kind, rung, stronger, snapshots) => {
    let world: World;
    let tag = '';
    beforeAll(() => {
      world = createPodWorld(kind, 'Unconfined', registry.mirrors);
      tag = `${registry.host}/pod-${kind}:1`;
      writeApp(world);
    });
    afterAll(() => world.remove());

    test('info names the rung, why there is no stronger one, and that processes show', async () => {
      const { stdout, code } = await world.berth(['info']);
      expect(stdout).toContain(`Isolation: ${rung}\n`);
      expect(stdout).toMatch(stronger);
      expect(stdout).toMatch(/^Network of run: .*, no way out: .*(pasta needs \/dev\/net\/tun|install pasta)/m);
      expect(stdout).toMatch(/^Processes: those of this machine show/m);
      expect(code).toBe(0);
    });

    test('builds what changes owners, modes and capabilities, and pushes it as it is', async () => {
      const built = await world.berth(['build', '--progress', 'plain', '--tag', tag, '.'], { cwd: app(world) });
      expect(built.output).toContain('mknod: /data/null: Operation not permitted');
      const told = built.output.match(/isolation is userns-full, as root is not possible here: unshare/g) ?? [];
      expect(told).toHaveLength(rung.startsWith('userns-full') ? 1 : 0);
      expect(built.code).toBe(0);
      expect((await world.berth(['push', tag])).code).toBe(0);
      expect(readdirSync(join(world.store, 'snapshots')).filter((name) => name.startsWith(snapshots))).toHaveLength(1);

      const elsewhere = createWorld(takeAccount('root'), registry.mirrors);
      const seen = await elsewhere.berth(['run', '--rm', '--user', '0', tag, 'python3', '/data/look.py']);
      expect(JSON.parse(seen.stdout)).toEqual(LOOKS);
      await elsewhere.remove();
    });

    test('a step sees nothing of the processes of the pod but their names, and cannot signal them', async () => {
      const step = [
        'for file in environ mem root/etc/passwd; do head -c 1 /proc/1/$file 2>&1 | grep -c "Permission denied"; done',
        'tr "\\\\0" " " < /proc/1/cmdline; echo',
        // All that it may signal.
        'kill -9 -1 || true',
        // Nothing of it can be written, neither of one's own; the pod locks none of these files.
        'for file in 1/oom_score_adj self/oom_score_adj self/coredump_filter; do echo 0 > /proc/$file; done; true',
        // The pod shows it, and we do not.
        'cat /proc/interrupts | wc -c',
      ];
      writeFileSync(
        join(app(world), 'Dockerfile.look'),
        `FROM python:3.11-slim\n${step.map((line) => `RUN ${line}\n`).join('')}`,
      );
      const built = await world.berth(['build', '--progress', 'plain', '-f', 'Dockerfile.look', '.'], {
        cwd: app(world),
      });
      expect(built.output.match(/ 1\n/g)).toHaveLength(3);
      expect(built.output).toMatch(/ sleep infinity/);
      expect(built.output.match(/(oom_score_adj|coredump_filter): Read-only file system/g)).toHaveLength(3);
      expect(built.output).toMatch(/ 0\n/);
      expect(built.code).toBe(0);
    });

    test('runs a container with a published port, exec, logs and stop', async () => {
      const run = await world.berth(['run', '--detach', '--name', 'web', '--publish', '127.0.0.1::8000', tag]);
      expect(run.code).toBe(0);
      const address = (await world.berth(['port', 'web', '8000'])).stdout.trim();
      expect(await answerOf(`http://${address}/look.py`)).toContain('import json');
      expect((await world.berth(['exec', 'web', 'id', '-u'])).stdout).toBe('4001\n');
      expect((await world.berth(['logs', 'web'])).output).toContain('"GET /look.py HTTP/1.1" 200');
      expect((await world.berth(['stop', 'web'])).code).toBe(0);
      expect((await world.berth(['inspect', '--format', '{{.State.ExitCode}}', 'web'])).stdout).toBe('0\n');
      expect((await world.berth(['rm', 'web'])).code).toBe(0);
      expect(run.stderr).not.toContain('isolation');
      expect(await leftoversAfter(world.store, 3)).toEqual([]);
    });

    test('a kernel parameter is refused, with what would help', async () => {
      const sysctl = ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=0'];
      const { code, stderr } = await world.berth(['run', '--rm', ...sysctl, tag, 'true']);
      expect(stderr).toMatch(/hint: .*leave out --sysctl.*procMount Unmasked/);
      expect(code).toBe(125);
    });

    test('what would reach into the processes of the pod is refused', async () => {
      const { code, stderr } = await world.berth(['run', '--rm', '--cap-add', 'SYS_PTRACE', tag, 'true']);
      expect(stderr).toMatch(/Cannot use --cap-add SYS_PTRACE: .*hint: leave out --cap-add SYS_PTRACE/s);
      expect(code).toBe(125);
    });

    test('a whole job is tested and pushed, and kill -9 leaves nothing after the next command', async () => {
      makeJob(world);
      expect((await startJob(world, 'first').ended).output).toContain('tested sha256:');
      const before = new Set(leftovers(world.store));
      for (const [at, moment] of MOMENTS.entries()) {
        const running = startJob(world, `point-${at}`);
        await running.saw(moment);
        strike(running, 'node');
        await running.ended;
        expect((await world.berth(['ps', '--all', '--quiet'])).code).toBe(0);
        expect((await leftoversAfter(world.store, 3)).filter((line) => !before.has(line))).toEqual([]);
      }
      const fsck = await world.berth(['system', 'fsck']);
      expect(fsck.output).not.toMatch(/problem: /);
      expect(fsck.code).toBe(0);
    });
  });

  test('what it remembers does not count for root outside, who has snapshots of his own', async () => {
    const outside = createWorld(takeAccount('root'));
    await inPod('Unconfined', registry.mirrors, async (world) => {
      makeJob(world);
      const [cwd, env] = [join(world.folder, 'job'), { BERTH_ROOT: world.store }];
      const build = ['build', '--progress', 'plain', '.'];
      expect((await world.berth(build, { cwd })).output).toContain('5 steps: 0 cached, 5 executed');
      expect((await world.berth(build, { cwd })).output).toContain('5 steps: 5 cached, 0 executed');
      expect((await outside.berth(build, { cwd, env })).output).toContain('5 steps: 0 cached, 5 executed');
      expect((await world.berth(build, { cwd })).code).toBe(0);
      expect((await world.berth(['system', 'fsck'])).code).toBe(0);
      expect((await outside.berth(['system', 'fsck'], { env })).code).toBe(0);
      await outside.berth(['system', 'prune', '--all', '--force'], { env });
    });
    await outside.remove();
  });

  test('on the root of the pod, which is an overlay, it says before the first download what to type', async () => {
    await inPod('Unconfined', registry.mirrors, async (world) => {
      writeApp(world);
      const built = await world.berth(['build', '.'], { cwd: app(world), env: { BERTH_ROOT: '/opt/store' } });
      expect(built.stderr).toMatch(/userns-full: mount overlay: Invalid argument/);
      expect(built.stderr).toMatch(/hint: .*BERTH_ROOT=\S+, with an emptyDir/);
      expect(built.output).not.toContain('pull ');
      expect(built.code).toBe(1);
    });
  });

  test('below the seccomp profile of the runtime it names each switch that would help', async () => {
    await inPod('RuntimeDefault', registry.mirrors, async (world) => {
      writeApp(world);
      const built = await world.berth(['build', '.'], { cwd: app(world) });
      expect(built.stderr).toMatch(/userns-full: unshare user namespace: Operation not permitted/);
      expect(built.stderr).toMatch(/hint: .*CAP_SYS_ADMIN.*seccompProfile\.type Unconfined/);
      expect(built.output).not.toContain('pull ');
      expect(built.code).toBe(1);
    });
  });
});

async function inPod(
  seccomp: PodOptions['seccomp'],
  mirrors: string,
  work: (world: World) => Promise<void>,
): Promise<void> {
  const world = createPodWorld('root', seccomp, mirrors);
  try {
    await work(world);
  } finally {
    await world.remove();
  }
}

/** A world whose account lives in a pod, with the folder of the world as its volume. */
function createPodWorld(kind: AccountKind, seccomp: PodOptions['seccomp'], mirrors: string): World {
  const account = takeAccount(kind);
  const world = createWorld({ ...account, enter: (who, how) => pod.enter(who, how) }, mirrors);
  const pod = startPod({ seccomp, volume: dirname(world.folder) });
  // What is set-uid root may write no map without SYS_ADMIN.
  if (kind === 'subuid') giveCapabilities(pod);
  const remove = async (): Promise<void> => {
    await world.berth(['system', 'prune', '--all', '--force']);
    pod.stop();
    await world.remove();
  };
  return { ...world, remove };
}

/** As `setcap cap_setuid=ep` and `setcap cap_setgid=ep` would (linux/capability.h, revision 2). */
function giveCapabilities(pod: Pod): void {
  for (const [tool, bit] of [
    ['newuidmap', '80'],
    ['newgidmap', '40'],
  ]) {
    pod.run(['chmod', 'u-s', `/usr/bin/${tool}`]);
    const value = `0x01000002${bit}000000${'0'.repeat(24)}`;
    pod.run(['setfattr', '--name', 'security.capability', '--value', value, `/usr/bin/${tool}`]);
  }
}

function app(world: World): string {
  return join(world.folder, 'app');
}

async function answerOf(url: string): Promise<string> {
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    if (response) return await response.text();
  }
}

/** What `look.py` prints: owner, group and mode, and the capability of a file. */
const LOOKS = {
  own: [4001, 4000, '644'],
  copied: [4001, 4000, '644'],
  suid: [0, 0, '4755'],
  far: [60000, 60001, '755'],
  cap: '0100000200040000000000000000000000000000',
};

const LOOK = `import json, os, stat

looks = {}
for name in ("own", "copied", "suid", "far"):
    found = os.stat("/data/" + name)
    looks[name] = [found.st_uid, found.st_gid, oct(stat.S_IMODE(found.st_mode))[2:]]
looks["cap"] = os.getxattr("/data/capable", "security.capability").hex()
print(json.dumps(looks))
`;

/** Takes a signal, as process 1 does by default not. */
const SERVER = `import signal, sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("", 8000), SimpleHTTPRequestHandler).serve_forever()
`;

function writeApp(world: World): void {
  mkdirSync(app(world), { recursive: true });
  writeFileSync(join(app(world), 'look.py'), LOOK);
  writeFileSync(join(app(world), 'server.py'), SERVER);
  writeFileSync(
    join(app(world), 'Dockerfile'),
    [
      'FROM python:3.11-slim',
      'RUN groupadd -g 4000 app && useradd -u 4001 -g app app && mkdir -p /data/far && touch /data/own && chown 4001:4000 /data/own && chown 60000:60001 /data/far && cp /bin/true /data/suid && chmod 4755 /data/suid',
      `RUN touch /data/capable && python3 -c 'import os; os.setxattr("/data/capable", "security.capability", bytes.fromhex("${LOOKS.cap}"))'`,
      'RUN mknod /data/null c 1 3 || true',
      'COPY --chown=4001:4000 --chmod=644 look.py /data/copied',
      'COPY look.py server.py /data/',
      'USER app',
      'WORKDIR /data',
      'EXPOSE 8000',
      'CMD ["python3", "/data/server.py"]',
      '',
    ].join('\n'),
  );
}

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NO_ACCOUNTS, removeAccounts, takeAccount, type AccountKind } from './support/account.ts';
import { leftovers, leftoversAfter } from './support/leftovers.ts';
import { createWorld, type World } from './support/world.ts';

/** Ten moments of a job, each by the first words that tell of it. */
const MOMENTS: readonly (string | RegExp)[] = [
  'load build definition',
  'RUN ["/bin/busybox"',
  / point-\d+ 1\n/,
  / point-\d+ 8\n/,
  'again 3',
  'COPY www /www',
  'exporting to image',
  'start the container',
  'request health',
  'stop the container',
];
const suite = NO_ACCOUNTS === undefined ? describe : describe.skip;
if (NO_ACCOUNTS !== undefined) console.log(`kill: ${NO_ACCOUNTS}`);

suite('kill -9', () => {
  afterAll(removeAccounts);

  describe.each<[AccountKind, 'node' | 'sudo']>([
    ['root', 'node'],
    ['sudo', 'node'],
    ['sudo with use_pty', 'sudo'],
    ['subuid', 'node'],
  ])('as %s, of %s', (kind, victim) => {
    let world: World;
    beforeAll(async () => {
      world = createWorld(takeAccount(kind));
      makeJob(world);
      expect((await job(world, 'first')).code).toBe(0);
    });
    afterAll(() => world.remove());

    test('leaves nothing after the next command at ten points, and the store whole', async () => {
      const before = new Set(leftovers(world.store));
      for (const [at, moment] of MOMENTS.entries()) {
        const running = start(world, `point-${at}`);
        await running.saw(moment);
        strike(running.child.pid ?? 0, victim);
        await running.ended;

        const next = await world.berth(['ps', '--all', '--quiet']);
        expect(next.stderr).toBe('');
        expect(next.code).toBe(0);
        expect((await leftoversAfter(world.store, 3)).filter((line) => !before.has(line))).toEqual([]);
        const fsck = await world.berth(['system', 'fsck']);
        expect(fsck.output).not.toMatch(/problem: /);
        expect(fsck.code).toBe(0);
      }
      const after = await job(world, 'first');
      expect(after.output).toContain('tested sha256:');
      expect(after.code).toBe(0);
    });
  });
});

/** A small job with all its parts: steps that run, a server, a test. `salt` makes its steps new. */
function job(world: World, salt: string): ReturnType<World['berth']> {
  return start(world, salt).ended;
}

function start(world: World, salt: string): ReturnType<World['startBerth']> {
  const context = join(world.folder, 'job');
  return world.startBerth(
    ['ci', '--progress', 'plain', '--build-arg', `SALT=${salt}`, '--smoke-test', 'smoke-test.yaml', '.'],
    { cwd: context },
  );
}

function makeJob(world: World): void {
  const context = join(world.folder, 'job');
  mkdirSync(join(context, 'www'), { recursive: true });
  copyFileSync('/bin/busybox', join(context, 'busybox'));
  writeFileSync(join(context, 'www/health'), 'ok\n');
  writeFileSync(
    join(context, 'Dockerfile'),
    [
      'FROM scratch',
      'ARG SALT',
      'COPY busybox /bin/busybox',
      'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
      'RUN for i in 1 2 3 4 5 6 7 8; do echo "$SALT $i"; dd if=/dev/urandom of=/file$i bs=64k count=4 2>/dev/null; done',
      'RUN for i in 1 2 3 4; do echo "again $i"; usleep 50000; done; rm /file1',
      'COPY www /www',
      'EXPOSE 8080',
      // It is process 1 and handles no signal.
      'STOPSIGNAL SIGKILL',
      'CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]',
      '',
    ].join('\n'),
  );
  writeFileSync(
    join(context, 'smoke-test.yaml'),
    'version: 1\nreadinessProbe:\n  httpGet: { path: /health, port: 8080 }\nrequests:\n  - name: health\n    request: { method: GET, path: /health }\n    response: { status: 200 }\n',
  );
  execFileSync('chown', ['-R', `${world.account.uid}:${world.account.gid}`, context]);
}

/** SIGKILL to Node itself, or to every sudo below it. */
function strike(node: number, victim: 'node' | 'sudo'): void {
  const targets = victim === 'node' ? [node] : below(node).filter((pid) => commandOf(pid).startsWith('sudo'));
  for (const pid of targets.length > 0 ? targets : [node]) process.kill(pid, 'SIGKILL');
}

function below(pid: number): readonly number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid);
  return children.flatMap((child) => [child, ...below(child)]);
}

function parentOf(pid: number): number {
  return Number(/^\d+ \(.*\) \S (\d+)/s.exec(read(`/proc/${pid}/stat`))?.[1] ?? -1);
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/comm`).trim();
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

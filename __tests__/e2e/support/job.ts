import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Running, World } from './world.ts';

/** Ten moments of a job, each by the first words that tell of it. */
export const MOMENTS: readonly (string | RegExp)[] = [
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

/** A small job with all its parts: steps that run, a server, a test. `salt` makes its steps new. */
export function startJob(world: World, salt: string): Running {
  const context = join(world.folder, 'job');
  return world.startBerth(
    ['ci', '--progress', 'plain', '--build-arg', `SALT=${salt}`, '--smoke-test', 'smoke-test.yaml', '.'],
    { cwd: context },
  );
}

/** Writes the context of {@link startJob}. */
export function makeJob(world: World): void {
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
export function strike({ child }: Running, victim: 'node' | 'sudo'): void {
  const family = [child.pid ?? 0, ...below(child.pid ?? 0)];
  // In a pod it is below the program that enters it.
  const node = family.find((pid) => read(`/proc/${pid}/cmdline`).includes('/dist/cli/index.js\0')) ?? 0;
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

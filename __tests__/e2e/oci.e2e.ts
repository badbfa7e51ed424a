import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HELPER, NO_CONTAINERS, type Outcome } from '../helpers/berth.ts';
import { hasProgram } from '../helpers/docker-registry.ts';

const BUSYBOX = '/bin/busybox';
const APPLETS = ['sh', 'cat', 'echo', 'id', 'sleep', 'hostname', 'tty', 'ls', 'touch', 'true', 'pwd', 'stty', 'grep'];
const reason = NO_CONTAINERS ?? (existsSync(BUSYBOX) ? undefined : `no ${BUSYBOX}: install busybox-static`);
const suite = reason === undefined ? describe : describe.skip;
if (reason !== undefined) console.log(`oci: ${reason}`);
const needs = (...names: readonly string[]): typeof test | typeof test.skip => {
  const missing = names.filter((name) => !hasProgram(name));
  if (missing.length > 0) console.log(`oci: left out, no ${missing.join(', ')}`);
  return missing.length === 0 ? test : test.skip;
};

suite('the helper as an OCI runtime', () => {
  let folder = '';
  let runtime = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-oci-'));
    runtime = join(folder, 'berth-native-oci');
    symlinkSync(HELPER, runtime);
    writeRoot(join(folder, 'rootfs'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (program: string, args: readonly string[], input = ''): Outcome => {
    const done = spawnSync(program, args, { input, encoding: 'utf8', cwd: folder, timeout: 60_000 });
    return { code: done.status ?? -1, stdout: done.stdout, stderr: done.stderr };
  };
  /** podman on a storage of its own. The limits are those that any root may set. */
  const podman = (...args: readonly string[]): Outcome =>
    run('podman', [
      ...['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')],
      ...['--cgroup-manager', 'cgroupfs', '--runtime', runtime, ...args],
    ]);
  const limits = ['--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=4096:4096'];

  needs('runc')('runs the bundle of `runc spec` to the same end as runc', () => {
    const bundle = join(folder, 'bundle');
    mkdirSync(bundle);
    run('runc', ['spec', '--bundle', bundle]);
    const script = 'id -u; hostname; pwd; grep CapEff /proc/self/status; touch /x || echo read-only; exit 5';
    const change = [
      ...['const fs=require("fs"),f=process.argv[1],c=JSON.parse(fs.readFileSync(f));'],
      ...['c.process.terminal=false;c.process.args=["sh","-c",process.argv[2]];c.root.path=process.argv[3];'],
      ...['fs.writeFileSync(f,JSON.stringify(c))'],
    ].join('');
    run(process.execPath, ['-e', change, join(bundle, 'config.json'), script, join(folder, 'rootfs')]);
    const root = join(folder, 'state');
    const theirs = run('runc', ['--root', join(root, 'theirs'), 'run', '--bundle', bundle, 'berth-oci-theirs']);
    const ours = run(runtime, ['--root', join(root, 'ours'), 'run', '--bundle', bundle, 'berth-oci-ours']);
    expect(theirs.code).toBe(5);
    expect({ code: ours.code, stdout: ours.stdout }).toEqual({ code: theirs.code, stdout: theirs.stdout });
  });

  needs(
    'podman',
    'tar',
    'script',
  )('podman runs, enters, pauses, stops and removes containers by it', () => {
    run('tar', ['-C', join(folder, 'rootfs'), '-cf', join(folder, 'root.tar'), '.']);
    expect(podman('import', join(folder, 'root.tar'), 'localhost/box').code).toBe(0);
    expect(podman('run', '--rm', ...limits, 'localhost/box', 'sh', '-c', 'echo hello $(id -u); exit 9')).toMatchObject({
      code: 9,
      stdout: 'hello 0\n',
    });
    expect(podman('run', '--rm', ...limits, 'localhost/box', 'no-such-command').code).toBe(127);
    const confined = ['--read-only', '--tmpfs', '/etc', '--user', '7:8', '--memory', '64m', '--pids-limit', '50'];
    const limited = podman('run', '--rm', ...limits, ...confined, 'localhost/box', 'sh', '-c', 'cat /etc/word; id -u');
    expect(limited).toMatchObject({ code: 0, stdout: 'kept\n7\n' });

    const waiting = 'trap "echo bye; exit 4" TERM; echo up; while true; do sleep 0.1; done';
    expect(podman('run', '-d', '--name', 'box', ...limits, 'localhost/box', 'sh', '-c', waiting).code).toBe(0);
    expect(podman('exec', '-e', 'A=1', '-w', '/tmp', 'box', 'sh', '-c', 'echo $A $(pwd); exit 3')).toMatchObject({
      code: 3,
      stdout: '1 /tmp\n',
    });
    expect(podman('pause', 'box').code).toBe(0);
    expect(podman('unpause', 'box').code).toBe(0);
    expect(podman('stop', '--time', '20', 'box').code).toBe(0);
    expect(podman('logs', 'box').stdout).toBe('up\nbye\n');
    expect(podman('inspect', '--format', '{{.State.Status}} {{.State.ExitCode}}', 'box').stdout).toBe('exited 4\n');
    expect(podman('start', 'box').code).toBe(0);
    expect(podman('rm', '--force', '--time', '0', 'box').code).toBe(0);

    const words = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run'), '--cgroup-manager', 'cgroupfs'];
    const line = ['podman', ...words, '--runtime', runtime, 'run', '--rm', '-it', ...limits, 'localhost/box', 'tty'];
    expect(run('script', ['-qec', line.join(' '), '/dev/null']).stdout).toContain('/dev/pts/0');
  });

  needs('buildah', 'podman')('buildah runs a step by it', () => {
    const words = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
    const made = run('buildah', [...words, 'from', 'localhost/box']);
    expect(made.code).toBe(0);
    const step = ['run', '--runtime', runtime, '--isolation', 'oci', '--network', 'none', made.stdout.trim()];
    expect(run('buildah', [...words, ...step, 'sh', '-c', 'echo built $(id -u)'])).toMatchObject({
      code: 0,
      stdout: 'built 0\n',
    });
    expect(run('buildah', [...words, 'rm', made.stdout.trim()]).code).toBe(0);
  });
});

function writeRoot(root: string): void {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  for (const name of APPLETS) symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, 'etc/word'), 'kept\n');
}

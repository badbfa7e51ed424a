// The helper's own tests on a processor or a kernel that this machine does not have: `npm run vm -- arm64|x64 [name of a test program]…`.
//
// A virtual machine boots Debian's cloud kernel (6.1: before `overlay` in a user namespace learnt to append layers, a pure cgroup v2 host) on a disk
// that holds Debian's tools, the test programs built for the musl target, and the committed helper in the place of a built one. Needs root.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { testPrograms } from './vm-programs.mjs';

const SUITE = 'bookworm';
/** Inside a virtual machine the register of this feature may be one that cannot be set. */
const KVM = ['-accel', 'kvm', '-cpu', 'host,-arch-capabilities'];
const MACHINES = {
  arm64: {
    debian: 'arm64',
    rust: 'aarch64',
    qemu: ['qemu-system-aarch64', '-M', 'virt', '-cpu', 'max', '-accel', 'tcg,thread=multi'],
    package: 'qemu-system-arm',
    console: 'ttyAMA0',
  },
  x64: {
    debian: 'amd64',
    rust: 'x86_64',
    qemu: ['qemu-system-x86_64', '-M', 'q35', ...(hasKvm() ? KVM : ['-cpu', 'max'])],
    package: 'qemu-system-x86',
    console: 'ttyS0',
  },
};
const PACKAGES = [
  'busybox-static',
  'coreutils',
  'dash',
  'findutils',
  'gzip',
  'kmod',
  'libarchive-tools',
  'mount',
  'passwd',
  'strace',
  'tar',
  'uidmap',
  'util-linux',
  'zstd',
];
/** What the first few megabytes need to find the disk, and what the tests use later. */
const BOOT_MODULES = ['virtio_pci', 'virtio_mmio', 'virtio_blk', 'ext4'];
const TEST_MODULES = ['overlay', 'veth', 'bridge', 'nf_tables', 'nft_chain_nat', 'nft_masq', 'dummy', 'ipv6', 'tun'];
/** It asks cargo, which is not in there. */
const LEFT_OUT = ['crate_graph', 'typescript'];
const MINUTES = 30;

const root = new URL('..', import.meta.url).pathname;
const [name = '', ...only] = process.argv.slice(2);
const machine = MACHINES[name] ?? fail(`Say which machine: npm run vm -- ${Object.keys(MACHINES).join('|')}`);
if (process.getuid() !== 0) fail('Cannot make the disk: it needs root, as its files belong to root');
for (const [program, from] of [
  [machine.qemu[0], machine.package],
  ['mmdebstrap', 'mmdebstrap'],
  ['depmod', 'kmod'],
  ['bsdtar', 'libarchive-tools'],
  ['mke2fs', 'e2fsprogs'],
])
  if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
    fail(`${program} is missing: apt-get install ${from}`);

const programs = testPrograms(machine.rust).filter(
  ({ test }) => !LEFT_OUT.includes(test) && (only.length === 0 || only.includes(test)),
);
if (programs.length === 0) fail(`No test program is called ${only.join(' or ')}`);
const work = mkdtempSync(join(tmpdir(), 'berth-vm-'));
try {
  process.exitCode = await boot(makeDisk(userland()));
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Debian's tools and kernel as a tar, kept between runs. */
function userland() {
  const tar = join(homedir(), '.cache/berth-vm', `${SUITE}-${machine.debian}.tar`);
  if (existsSync(tar)) return tar;
  mkdirSync(dirname(tar), { recursive: true });
  const packages = [...PACKAGES, `linux-image-cloud-${machine.debian}`].join(',');
  must('mmdebstrap', [
    `--architectures=${machine.debian}`,
    '--variant=extract',
    // Told by the name of the file otherwise, and the one of an unfinished file says nothing.
    '--format=tar',
    `--include=${packages}`,
    SUITE,
    `${tar}.part`,
    `deb http://deb.debian.org/debian ${SUITE} main`,
  ]);
  must('mv', [`${tar}.part`, tar]);
  return tar;
}

function makeDisk(tar) {
  const tree = join(work, 'tree');
  mkdirSync(tree);
  must('tar', ['-xf', tar, '-C', tree]);
  for (const folder of ['proc', 'sys', 'dev', 'run', 'root', 'tmp', 'vm', 'home'])
    mkdirSync(join(tree, folder), { recursive: true });
  must('chmod', ['1777', join(tree, 'tmp')]);
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nberthtest:x:1001:1001::/tmp:/bin/sh\n');
  writeFileSync(join(tree, 'etc/group'), 'root:x:0:\nberthtest:x:1001:\n');
  for (const file of ['subuid', 'subgid']) writeFileSync(join(tree, 'etc', file), 'berthtest:300000:65536\n');
  const kernel = readdirSync(join(tree, 'lib/modules'))[0];
  must('depmod', ['-b', tree, kernel]);
  for (const { path, helper } of programs) {
    cpSync(path, join(tree, 'vm', basename(path)));
    // Tests start the helper at the path that cargo gave them.
    mkdirSync(dirname(join(tree, helper)), { recursive: true });
    cpSync(join(root, 'dist/native', `berth-native-${machine.rust}`), join(tree, helper));
    // What cargo calls CARGO_TARGET_TMPDIR.
    mkdirSync(join(tree, dirname(dirname(helper)), 'tmp'), { recursive: true });
  }
  writeFileSync(join(tree, 'vm/init'), script(), { mode: 0o755 });
  const disk = join(work, 'disk.img');
  must('mke2fs', ['-q', '-t', 'ext4', '-d', tree, disk, '4G']);
  return { disk, kernel: join(tree, 'boot', `vmlinuz-${kernel}`), initrd: makeInitrd(tree, kernel) };
}

/** A first file system that loads the driver of the disk and goes on from there. */
function makeInitrd(tree, kernel) {
  const first = join(work, 'first');
  for (const folder of ['bin', 'modules', 'proc', 'sys', 'dev', 'new'])
    mkdirSync(join(first, folder), { recursive: true });
  cpSync(join(tree, 'bin/busybox'), join(first, 'bin/busybox'));
  const modules = loadOrder(join(tree, 'lib/modules', kernel));
  for (const module of modules)
    cpSync(join(tree, 'lib/modules', kernel, module), join(first, 'modules', basename(module)));
  const lines = [
    '#!/bin/busybox sh',
    'export PATH=/bin',
    '/bin/busybox --install -s /bin',
    'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev',
    ...modules.map((module) => `insmod /modules/${basename(module)}`),
    'mount -t ext4 /dev/vda /new || exec sh',
    'umount /proc /sys /dev',
    'exec switch_root /new /vm/init',
  ];
  writeFileSync(join(first, 'init'), `${lines.join('\n')}\n`, { mode: 0o755 });
  const initrd = join(work, 'initrd');
  must('sh', ['-c', `bsdtar -c --format newc --uid 0 --gid 0 -C "$1" . | gzip -1 >"$2"`, 'sh', first, initrd]);
  return initrd;
}

/** The boot modules with what they need, each after its needs. */
function loadOrder(folder) {
  const needs = new Map(
    readFileSync(join(folder, 'modules.dep'), 'utf8')
      .split('\n')
      .filter((line) => line.includes(':'))
      .map((line) => [
        line.slice(0, line.indexOf(':')),
        line
          .slice(line.indexOf(':') + 1)
          .trim()
          .split(' ')
          .filter(Boolean),
      ]),
  );
  const files = new Map([...needs.keys()].map((path) => [basename(path, '.ko').replaceAll('-', '_'), path]));
  const order = new Set();
  for (const module of [...BOOT_MODULES, 'crc32c_generic'].map((wanted) => files.get(wanted)).filter(Boolean))
    for (const path of [...(needs.get(module) ?? []).toReversed(), module]) order.add(path);
  return [...order];
}

function script() {
  const runs = programs.map(
    ({ path, test }) =>
      `cd /tmp; timeout -k 10 900 /vm/${basename(path)} --test-threads=2 2>&1; echo "VM-RESULT ${test} $?"`,
  );
  return `${[
    '#!/bin/busybox sh',
    'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root RUST_BACKTRACE=1',
    'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t cgroup2 cgroup2 /sys/fs/cgroup',
    'mkdir -p /dev/pts /dev/shm; mount -t devpts -o ptmxmode=666 devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /run',
    'busybox ln -sfn /proc/self/fd /dev/fd; busybox ip link set lo up; busybox uname -srm',
    `for module in ${TEST_MODULES.join(' ')}; do modprobe -q $module || echo "no module $module"; done`,
    ...runs,
    'echo VM-DONE; busybox sync; busybox poweroff -f',
  ].join('\n')}\n`;
}

async function boot({ disk, kernel, initrd }) {
  const [qemu, ...args] = machine.qemu;
  const child = spawn(
    qemu,
    [
      ...args,
      '-smp',
      '2',
      '-m',
      '3072',
      '-nographic',
      '-no-reboot',
      '-nic',
      'none',
      '-kernel',
      kernel,
      '-initrd',
      initrd,
      '-append',
      `console=${machine.console} quiet panic=-1`,
      '-drive',
      `file=${disk},format=raw,if=virtio,cache=unsafe`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), MINUTES * 60_000);
  const results = new Map();
  let done = false;
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line.replace(/[^\x20-\x7e]/g, ''));
    const [, test, code] = /^VM-RESULT (\S+) (\d+)/.exec(line) ?? [];
    if (test) results.set(test, Number(code));
    done ||= line.startsWith('VM-DONE');
  }
  clearTimeout(timer);
  const failed = programs.filter(({ test }) => results.get(test) !== 0).map(({ test }) => test);
  if (!done) console.error('The virtual machine ended before its tests did');
  if (failed.length > 0) console.error(`Failed on ${name}: ${failed.join(', ')}`);
  else console.log(`${programs.length} test programs pass on ${name}`);
  return done && failed.length === 0 ? 0 : 1;
}

/** Whether the processor can run the machine itself: a device may be there without that, and then nothing ends that is started with it. */
function hasKvm() {
  if (!existsSync('/dev/kvm') || !/^flags\s*:.* (?:vmx|svm) /m.test(readFileSync('/proc/cpuinfo', 'utf8')))
    return false;
  const args = ['-M', 'q35', ...KVM, '-nodefaults', '-display', 'none', '-S', '-monitor', 'stdio'];
  return spawnSync('qemu-system-x86_64', args, { input: 'quit\n', timeout: 20_000 }).status === 0;
}

function must(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (status !== 0) fail(`${program} ended with ${status ?? error?.message}`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

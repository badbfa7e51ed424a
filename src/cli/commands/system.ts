import { cpus, hostname, machine, totalmem } from 'node:os';
import type { EngineInfo } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { text, toggle } from '../flags.ts';
import { reportError } from '../report-error.ts';
import { renderTemplate } from '../template/index.ts';
import { version as ownVersion } from '../version.ts';

/** `berth system fsck`: exit code 1 when there are problems that were not repaired. */
export const fsck = defineCommand({
  name: 'fsck',
  docs: 'Check the store: every blob, image, layer, snapshot and record',
  operands: '',
  flags: { repair: toggle('--repair', 'repair what can be repaired'), format: text('--format FORMAT', 'json') },
  run: async (context, { repair, format }) => {
    const report = await (await context.engine()).system.fsck({ repair });
    const { checked, problems, repaired } = report;
    if (format !== undefined) context.stdout.write(`${renderTemplate(format, { ...report })}\n`);
    else {
      for (const line of repaired) context.stdout.write(`repaired: ${line}\n`);
      for (const line of problems) context.stdout.write(`problem: ${line}\n`);
      const counts = Object.entries(checked).map(([name, number]) => `${number} ${name}`);
      context.stdout.write(
        `${problems.length === 0 ? 'The store is clean' : `${problems.length} problems`}: checked ${counts.join(', ')}\n`,
      );
    }
    return problems.length === 0 ? 0 : 1;
  },
});

/** `berth info`: where the store is, what is possible here and what is used. */
export const info = defineCommand({
  name: 'info',
  docs: 'Show what this machine allows and what is used',
  operands: '',
  flags: { format: text('-f, --format FORMAT', 'json, or a template') },
  run: async (context, { format }) => {
    const found = await (await context.engine()).info({ signal: context.signal });
    if (format !== undefined) {
      context.stdout.write(`${renderTemplate(format, { ...dockersNames(found), ...found })}\n`);
      return 0;
    }
    const { probe } = found;
    const lines = [
      `Version: ${ownVersion()}`,
      `Root: ${found.root} (${probe.fileSystem})`,
      `Kernel: ${probe.kernel}`,
      `Isolation: ${found.rung}${found.elevation === 'sudo' ? ' through sudo' : ''}${found.impossible ? ': nothing can be built or run here' : ''}`,
      ...probe.rungs.map(({ name, possible, reason, hint }) =>
        possible
          ? `  ${name}: possible`
          : `  ${name}: not possible${reason ? `: ${reason}` : ''}${hint ? ` (${hint})` : ''}`,
      ),
      `Cgroup: ${probe.cgroup.mode}${probe.cgroup.controllers.length > 0 ? ` (${probe.cgroup.controllers.join(', ')})` : ''}`,
      `Keyring for logins: ${found.keyring ? 'yes' : 'no: name a credential helper in config.json for berth login'}`,
      ...(probe.cgroup.devices === undefined ? [] : [`Devices: ${KEEPERS[probe.cgroup.devices]}`]),
      `Seccomp: ${probe.seccomp ? 'yes' : 'no'}`,
      ...(found.showsProcesses ? [`Processes: ${SHOWN}`] : []),
      `Devices by name: ${devicesOf(found.devices)}`,
      `Network of RUN: ${runNetworkOf(found)}`,
      `Network of run: ${networkOf(found)}`,
    ];
    context.stdout.write(`${lines.join('\n')}\n`);
    if (found.impossible) reportError(found.impossible, context.stderr);
    return 0;
  },
});

/** What scripts ask `docker info` for. */
function dockersNames({ root, probe }: EngineInfo): Record<string, unknown> {
  return {
    ServerVersion: ownVersion(),
    Driver: 'overlay',
    DockerRootDir: root,
    CgroupVersion: probe.cgroup.mode === 'v2' ? '2' : '1',
    KernelVersion: probe.kernel,
    OSType: process.platform,
    Architecture: machine(),
    NCPU: cpus().length,
    MemTotal: totalmem(),
    Name: hostname(),
  };
}

/** Docker's name of the processor. */
function architecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

function devicesOf({ names, problems }: EngineInfo['devices']): string {
  return [names.length > 0 ? names.join(', ') : 'none (no CDI file has one)', ...problems].join('; ');
}

const SHOWN =
  'those of this machine show in the /proc of containers, which cannot signal them or read their memory: the kernel mounts no other /proc where parts of one are hidden';

/** What keeps containers of root from the devices of this machine. */
const KEEPERS: Readonly<Record<NonNullable<EngineInfo['probe']['cgroup']['devices']>, string>> = {
  rules: 'kept by rules on the cgroup',
  nodes: 'kept by the nodes in /dev, without CAP_MKNOD: there is no cgroup that can be written',
};

function runNetworkOf({ buildNetwork }: EngineInfo): string {
  switch (buildNetwork?.kind) {
    case 'bridge':
      return 'one of its own for each step, with a way out by NAT';
    case 'pasta':
      return `one of its own for each step, with a way out by ${buildNetwork.program}`;
    case 'host':
      return `that of this machine: ${buildNetwork.reason}`;
    default:
      return 'none';
  }
}

/** What a container without a wish has as network. */
export function networkOf({
  probe,
  pasta,
  hasTun,
  rung,
}: Pick<EngineInfo, 'probe' | 'pasta' | 'hasTun' | 'rung'>): string {
  if (rung === 'none') return 'none';
  const { bridge, reason, hint } = probe.network;
  if (bridge) return 'bridge (addresses of its own, names on networks of yours, a way out by NAT)';
  if (pasta !== undefined && hasTun)
    return `loopback, published ports, and a way out by ${pasta}; no networks of yours`;
  const lack = rung === 'root' ? null : pasta === undefined ? 'install pasta for one (package passt)' : NO_TUN;
  const why = [reason, hint, lack].filter((text) => text !== null).join('; ');
  return `loopback and published ports, no way out${why === '' ? '' : `: ${why}`} (--network host has one)`;
}

const NO_TUN =
  'pasta needs /dev/net/tun: modprobe tun makes it, chmod 666 /dev/net/tun lets users open it, and a container or pod must be given it';

/** `berth version`. */
export const version = defineCommand({
  name: 'version',
  docs: 'Show the version',
  operands: '',
  flags: { format: text('-f, --format FORMAT', 'json, or a template') },
  run: async ({ stdout }, { format }) => {
    const own = { Version: ownVersion(), Os: process.platform, Arch: architecture() };
    // One program is both here; scripts ask for either.
    const fields = { ...own, NodeVersion: process.version, Client: own, Server: own };
    stdout.write(format === undefined ? versionOf(own) : `${renderTemplate(format, fields)}\n`);
    return 0;
  },
});

/** Docker's two parts; one program, without a daemon, is both. */
function versionOf({ Version, Os, Arch }: Readonly<Record<'Version' | 'Os' | 'Arch', string>>): string {
  const pair = (name: string, value: string): string => ` ${`${name}:`.padEnd(18)}${value}\n`;
  const client = `Client: berth\n${pair('Version', Version)}${pair('Node version', process.version)}${pair('OS/Arch', `${Os}/${Arch}`)}`;
  const engine = `Server: berth, in the same process\n Engine:\n  ${`Version:`.padEnd(17)}${Version}\n  ${`OS/Arch:`.padEnd(17)}${Os}/${Arch}\n`;
  return `${client}\n${engine}`;
}

import type { RunSpec, SecurityOptions } from '../../../engine/index.ts';
import { list, orNothing, single, text, toggle, type Values } from '../flags.ts';
import { UsageError } from '../usage-error.ts';
import { parseDevice, parseDeviceRule } from '../values/device.ts';
import { parseGpus } from '../values/gpus.ts';
import { parseSecurity } from '../values/security.ts';
import { parseSize } from '../values/size.ts';
import { parseNumber } from './limit-flags.ts';

/** Flags of `run` and `create` by which a container gets more, or less, of its machine. */
export const HOST_FLAGS = {
  annotation: list('--annotation NAME=VALUE', 'set an annotation of the runtime configuration', parsePair),
  cgroupns: orNothing(
    single('--cgroupns MODE', 'host or private (default)', (word) => oneOf(word, ['host', 'private'])),
  ),
  device: list(
    '--device DEVICE',
    'give a device of the host, /dev/x[:/dev/y][:rwm], or one of a CDI file, nvidia.com/gpu=0',
    parseDevice,
  ),
  deviceCgroupRule: list('--device-cgroup-rule RULE', "let devices be used: 'c 42:* rmw'", parseDeviceRule),
  gpus: list('--gpus GPUS', 'all, a number, or "device=0,1": NVIDIA cards for the container', parseGpus),
  ipc: orNothing(text('--ipc MODE', 'private (default), shareable, host, none or container:NAME')),
  logDriver: orNothing(single('--log-driver DRIVER', 'json-file (default), local or none', parseDriver)),
  logOpt: list('--log-opt NAME=VALUE', 'max-size= and max-file= of the log', parsePair),
  oomScoreAdj: single(
    '--oom-score-adj NUMBER',
    'how likely it is killed when memory runs out, -1000 to 1000',
    parseScore,
  ),
  pid: single('--pid MODE', 'host, or container:NAME', parsePid),
  privileged: toggle('--privileged', 'give all capabilities and devices, and hide nothing'),
  runtime: single(
    '--runtime NAME',
    'runc: the one there is; nvidia: the cards that NVIDIA_VISIBLE_DEVICES names as well',
    parseRuntime,
  ),
  securityOpt: list(
    '--security-opt OPTION',
    'no-new-privileges, seccomp=FILE or systempaths=unconfined',
    (word, { cwd }) => parseSecurity(word, cwd),
  ),
  sysctl: list('--sysctl NAME=VALUE', 'set a kernel parameter of its namespaces', parseSysctl),
  userns: orNothing(single('--userns MODE', 'host: no user namespace', (word) => oneOf(word, ['host']))),
  uts: orNothing(single('--uts MODE', "host: the host's name", (word) => oneOf(word, ['host']))),
} as const;

/** What was asked for. @throws {UsageError} for values that exclude each other */
export function toHostOptions(values: Values<typeof HOST_FLAGS>): Partial<RunSpec> {
  return {
    annotations: Object.fromEntries(values.annotation),
    cgroupns: values.cgroupns,
    devices: values.device.filter((device) => typeof device !== 'string'),
    deviceNames: values.device.filter((device) => typeof device === 'string'),
    deviceRules: values.deviceCgroupRule,
    gpus: values.gpus,
    ipc: values.ipc,
    log: toLog(values),
    oomScoreAdj: values.oomScoreAdj,
    pid: values.pid || undefined,
    privileged: values.privileged,
    runtime: values.runtime,
    security: values.securityOpt.reduce<SecurityOptions>((all, one) => ({ ...all, ...one }), {}),
    sysctls: Object.fromEntries(values.sysctl),
    uts: values.uts,
  };
}

function toLog({ logDriver, logOpt }: Pick<Values<typeof HOST_FLAGS>, 'logDriver' | 'logOpt'>): RunSpec['log'] {
  if (logDriver === undefined && logOpt.length === 0) return undefined;
  const driver = logDriver ?? 'json-file';
  if (driver === 'none' && logOpt.length > 0) throw new UsageError('invalid logging opts for driver none');
  const options = new Map(logOpt);
  const unknown = [...options.keys()].find((name) => name !== 'max-size' && name !== 'max-file');
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot use log option ${unknown}: unknown log opt '${unknown}' for ${driver} log driver`,
      'max-size and max-file are done',
    );
  }
  const [size, files] = [options.get('max-size'), options.get('max-file')];
  if (driver === 'local' && size !== undefined && (size === '-1' || parseSize(size) <= 0)) {
    throw new UsageError(
      `invalid max-size "${size}" for local log driver: wanted a size above 0`,
      '--log-opt max-size=20m',
    );
  }
  return {
    driver,
    ...(size === undefined || size === '-1' ? {} : { maxSize: parseSize(size) }),
    ...(files === undefined ? {} : { maxFiles: toFiles(files) }),
  };
}

function toFiles(word: string): number {
  const value = Number(word);
  if (!/^\d{1,4}$/.test(word) || value < 1 || value > 1000) {
    throw new UsageError(`invalid max-file "${word}": wanted a number from 1 to 1000`);
  }
  return value;
}

function parsePair(word: string): readonly [string, string] {
  const at = word.indexOf('=');
  if (at < 1) throw new UsageError('wanted name=value');
  return [word.slice(0, at), word.slice(at + 1)];
}

/** Parameters of a namespace of IPC that are no file system's; Docker's list. */
const IPC_PARAMETERS = /^kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)$/;

/** Only what belongs to namespaces of the container. */
function parseSysctl(word: string): readonly [string, string] {
  const [name, value] = parsePair(word);
  if (/^(net|fs\.mqueue)\../.test(name) || IPC_PARAMETERS.test(name)) return [name, value];
  throw new UsageError(
    `sysctl '${word}' is not allowed`,
    'net.*, fs.mqueue.* and those of IPC can be set; the machine has one value of all others: sysctl -w',
  );
}

function parsePid(word: string): string {
  if (word === '' || word === 'host' || /^container:./.test(word)) return word;
  throw new UsageError(`invalid PID mode "${word}"`, 'host and container:NAME can be given');
}

function parseDriver(word: string): NonNullable<RunSpec['log']>['driver'] {
  if (word === 'json-file' || word === 'local' || word === 'none') return word;
  throw new UsageError(`Cannot use log driver ${word}: not supported`, 'json-file, local and none are');
}

/** Docker's names of the runtime that is built in here, and NVIDIA's. */
function parseRuntime(word: string): RunSpec['runtime'] {
  if (word === '') return undefined;
  const known = (['runc', 'io.containerd.runc.v2', 'nvidia'] as const).find((name) => name === word);
  if (known !== undefined) return known;
  throw new UsageError(
    `Cannot use --runtime ${word}: unknown or invalid runtime name: ${word}`,
    'leave it out: the helper is the runtime; runc names it as well, and nvidia with the cards of NVIDIA_VISIBLE_DEVICES',
  );
}

function parseScore(word: string): number {
  const value = parseNumber(word);
  if (value < -1000 || value > 1000)
    throw new UsageError(`Invalid value ${value}, range for oom score adj is [-1000, 1000]`);
  return value;
}

function oneOf<const W extends string>(word: string, words: readonly W[]): W {
  const found = words.find((known) => known === word);
  if (found === undefined) throw new UsageError(`invalid mode "${word}"`, `${words.join(' and ')} can be given`);
  return found;
}

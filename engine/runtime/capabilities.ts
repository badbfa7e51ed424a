import { EngineError } from '../base/errors.ts';
import { suggest } from '../base/suggest.ts';

/** Every capability of Linux 5.9 and later, in kernel order. Source: capabilities(7). */
export const CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

/** What a container of `run` may do (spec/hardening.md 4). */
export const RUN_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

/** What a RUN may do: Docker's fourteen, since Dockerfiles are written against them. */
export const BUILD_CAPABILITIES: readonly string[] = [
  ...RUN_CAPABILITIES,
  'CAP_AUDIT_WRITE',
  'CAP_MKNOD',
  'CAP_NET_RAW',
];

/**
 * The set that is left of `base` after `--cap-add` and `--cap-drop`, in kernel order. Names are taken with or without `CAP_`, in any case;
 * `ALL` stands for all; an added capability wins over a dropped one, as with Docker.
 *
 * @throws `UNKNOWN_CAPABILITY` naming it
 */
export function adjustCapabilities(
  base: readonly string[],
  add: readonly string[] = [],
  drop: readonly string[] = [],
): readonly string[] {
  const [added, dropped] = [add.map(normalize), drop.map(normalize)];
  const kept = added.includes('ALL') ? CAPABILITIES : dropped.includes('ALL') ? [] : base;
  return CAPABILITIES.filter((name) => added.includes(name) || (kept.includes(name) && !dropped.includes(name)));
}

function normalize(given: string): string {
  const upper = given.trim().toUpperCase();
  if (upper === 'ALL') return upper;
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (CAPABILITIES.includes(name)) return name;
  const near = suggest(name, CAPABILITIES);
  throw new EngineError('UNKNOWN_CAPABILITY', `Cannot use capability "${given}": Linux has none of that name`, {
    hint: near ? `did you mean ${near.slice(4)}?` : 'see capabilities(7) for the names',
  });
}

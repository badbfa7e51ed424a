import { EngineError } from '../base/errors.ts';
import type { RunSpec } from '../engine.ts';
import type { Seccomp } from '../native/protocol.ts';
import { adjustCapabilities, CAPABILITIES, RUN_CAPABILITIES } from './capabilities.ts';
import { readSeccompProfile } from './seccomp-profile.ts';
import { seccompOf, type SpecTarget } from './spec.ts';

/** What the processes of a container may do. */
export interface Rights {
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly seccomp: Seccomp | undefined;
}

/**
 * The rights of a container of `run`, for its first process and for further ones alike.
 *
 * @throws `UNKNOWN_CAPABILITY`, `SECCOMP_PROFILE_INVALID`, and `RUNG_REFUSED` where the container would reach other processes
 */
export function rightsOf(
  spec: Pick<RunSpec, 'privileged' | 'capAdd' | 'capDrop' | 'security'>,
  target: SpecTarget,
): Rights {
  const { privileged = false, security = {} } = spec;
  const base = privileged ? CAPABILITIES : RUN_CAPABILITIES;
  const capabilities = adjustCapabilities(base, spec.capAdd, spec.capDrop);
  checkTracing(capabilities, privileged ? '--privileged' : `--cap-add ${tracingOf(spec.capAdd)}`, target);
  return {
    capabilities,
    noNewPrivileges: security.noNewPrivileges ?? !privileged,
    seccomp: filterOf(security.seccomp, privileged, capabilities, target),
  };
}

const TRACING = 'CAP_SYS_PTRACE';

/**
 * Refuses SYS_PTRACE where a container sees the /proc of this machine: by it the files of processes in its user namespace that are outside of it
 * could be opened, such as those of `pasta`, which is on the machine's network.
 *
 * @throws `RUNG_REFUSED` with what to type instead of `flag`
 */
export function checkTracing(
  capabilities: readonly string[],
  flag: string,
  { idMap, probe }: Pick<SpecTarget, 'idMap' | 'probe'>,
): void {
  if (idMap.kind === 'root' || probe.ownProc !== false || !capabilities.includes(TRACING)) return;
  throw new EngineError(
    'RUNG_REFUSED',
    `Cannot use ${flag}: with SYS_PTRACE a container would reach processes outside of it, as it sees the /proc of this machine`,
    {
      hint: `${flag === '--cap-add ALL' ? 'add --cap-drop SYS_PTRACE' : `leave out ${flag}`}, or run where containers have a /proc of their own (Kubernetes: securityContext.procMount Unmasked, with hostUsers: false)`,
    },
  );
}

/** The word that asked for it. */
function tracingOf(asked: readonly string[] = []): string {
  return asked.find((name) => /^(?:CAP_)?SYS_PTRACE$/i.test(name.trim())) ?? 'ALL';
}

function filterOf(
  asked: NonNullable<RunSpec['security']>['seccomp'],
  privileged: boolean,
  capabilities: readonly string[],
  target: SpecTarget,
): Seccomp | undefined {
  if (asked === 'unconfined' || (asked === undefined && privileged)) return undefined;
  if (asked === undefined) return seccompOf(capabilities, target);
  return readSeccompProfile(asked, { capabilities, ...target.host });
}

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

/** The rights of a container of `run`, for its first process and for further ones alike. @throws `UNKNOWN_CAPABILITY`, `SECCOMP_PROFILE_INVALID` */
export function rightsOf(
  spec: Pick<RunSpec, 'privileged' | 'capAdd' | 'capDrop' | 'security'>,
  target: SpecTarget,
): Rights {
  const { privileged = false, security = {} } = spec;
  const base = privileged ? CAPABILITIES : RUN_CAPABILITIES;
  const capabilities = adjustCapabilities(base, spec.capAdd, spec.capDrop);
  return {
    capabilities,
    noNewPrivileges: security.noNewPrivileges ?? !privileged,
    seccomp: filterOf(security.seccomp, privileged, capabilities, target),
  };
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

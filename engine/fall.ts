import type { Isolation } from './native/index.ts';

/** What the log of a build says where another rung of root than the strongest is in use. */
export function fallNote({ rung, instead }: Pick<Isolation, 'rung' | 'instead'>): string | undefined {
  return instead && `isolation is ${rung}, as root is not possible here: ${instead.reason}`;
}

/** What a container's start warns of: a machine that could give the strongest rung, but for what keeps containers to their devices. */
export function fallWarning(isolation: Pick<Isolation, 'rung' | 'instead'>): string | undefined {
  return isolation.instead?.isOfDevices ? fallNote(isolation) : undefined;
}

import type { RungName } from '../native/protocol.ts';

/** From the weakest rung to the strongest (DESIGN.md 4). */
const LADDER: readonly RungName[] = ['chroot', 'userns-single', 'userns', 'userns-full', 'root'];

/** True when what was made under `made` may stand for what would be made under `wanted`: never from a lower rung to a higher one. */
export function satisfies(made: RungName, wanted: RungName): boolean {
  return LADDER.indexOf(made) >= LADDER.indexOf(wanted);
}

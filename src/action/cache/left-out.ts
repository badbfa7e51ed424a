import type { MountExport } from '../../../engine/index.ts';

/** Something that is not saved. */
export interface LeftOut {
  /** A layer's digest, or what the Dockerfile calls a cache mount. */
  readonly what: string;
  /** Bytes, when they are known. */
  readonly size?: number | undefined;
  readonly why: string;
}

/** Cache mounts that could not be packed. */
export function leftOutMounts(mounts: MountExport | undefined): readonly LeftOut[] {
  return mounts?.leftOut.map(({ id, why }) => ({ what: `the cache mount ${id}`, why })) ?? [];
}

/** Which layers and cache mounts are not saved, to follow a sentence; empty when all are. */
export function leftOutText(leftOut: readonly LeftOut[]): string {
  if (leftOut.length === 0) return '';
  const named = leftOut.slice(0, 5).map(({ what, size, why }) => `${what}${sized(size)}, ${why}`);
  const rest = leftOut.length - named.length;
  return `, left out ${named.join('; ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function sized(size: number | undefined): string {
  return size === undefined ? '' : ` with ${(size / 1e6).toFixed(1)} MB`;
}

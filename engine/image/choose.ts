import { EngineError } from '../base/errors.ts';
import { formatPlatform, normalizePlatform } from './platform.ts';
import type { Descriptor, Index, Platform } from './types.ts';

/**
 * The manifest for `platform` out of an index. The exact machine is best, then what it can run as well, as containerd orders it: amd64/v3 runs
 * v2, amd64 and 386; arm64 runs arm/v8 to v5. Of equals the first counts. Attestations are never chosen.
 *
 * @param what names the image in the error
 * @throws `PLATFORM_NOT_FOUND` listing what exists
 */
export function choosePlatform(index: Index, platform: Platform, what: string): Descriptor {
  const images = index.manifests.filter((entry) => !isAttestation(entry));
  const best = bestFor(images, platform, (entry) => entry.platform);
  if (best) return best;
  const [only, ...others] = images;
  if (only && others.length === 0 && only.platform === undefined) return only;
  throw notFound(images, platform, what);
}

/** What runs best on a machine, in the order of {@link choosePlatform}; undefined when nothing does. */
export function bestFor<T>(
  items: readonly T[],
  platform: Platform,
  platformOf: (item: T) => Platform | undefined,
): T | undefined {
  for (const wanted of runnable(normalizePlatform(platform))) {
    const found = items.find((item) => {
      const own = platformOf(item);
      return own !== undefined && formatPlatform(normalizePlatform(own)) === wanted;
    });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** True when an image for `have` runs on `want`. */
export function runsOn(have: Platform, want: Platform): boolean {
  return runnable(normalizePlatform(want)).includes(formatPlatform(normalizePlatform(have)));
}

/** True for what BuildKit puts beside images: provenance and SBOM. */
export function isAttestation({ platform, annotations }: Descriptor): boolean {
  const reference = annotations?.['vnd.docker.reference.type'];
  return reference === 'attestation-manifest' || (platform?.os === 'unknown' && platform.architecture === 'unknown');
}

/** Platforms as text, best first. */
function runnable({ os, architecture, variant }: Platform): readonly string[] {
  const at = (arch: string, v?: string): string =>
    formatPlatform({ os, architecture: arch, ...(v === undefined ? {} : { variant: v }) });
  const level = Number(/^v(\d+)/.exec(variant ?? '')?.[1] ?? Number.NaN);
  if (architecture === 'amd64') return [...down(level, 2).map((v) => at('amd64', v)), at('amd64'), at('386')];
  if (architecture === 'arm') return [at('arm', variant), ...down(level, 5).map((v) => at('arm', v))];
  if (architecture === 'arm64')
    return [
      at('arm64', variant),
      ...down(level, 9).map((v) => at('arm64', v)),
      at('arm64'),
      ...down(8, 5).map((v) => at('arm', v)),
    ];
  return [at(architecture, variant), ...(variant === undefined ? [] : [at(architecture)])];
}

/** `v<from>` down to `v<to>`; nothing when `from` isn't a number. No processor has a level above 16. */
function down(from: number, to: number): string[] {
  const top = Math.min(from, 16);
  return Array.from({ length: Math.max(0, top - to + 1) || 0 }, (_, i) => `v${top - i}`);
}

function notFound(images: readonly Descriptor[], platform: Platform, what: string): EngineError {
  const names = images.map((entry) => (entry.platform ? formatPlatform(entry.platform) : 'one without a platform'));
  const unique = [...new Set(names)];
  const exists =
    unique.length === 0
      ? 'it holds no image'
      : `it has ${unique.slice(0, 20).join(', ')}${unique.length > 20 ? ', …' : ''}`;
  return new EngineError('PLATFORM_NOT_FOUND', `Cannot use ${what} for ${formatPlatform(platform)}: ${exists}`, {
    hint: unique.length === 0 ? undefined : `Choose another tag, or --platform ${unique[0] ?? ''}`,
  });
}

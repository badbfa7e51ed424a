import { EngineError, formatPlatform, hostPlatform, parsePlatform, runsOn, type Platform } from '../../engine/index.ts';
import { parseList } from './csv.ts';
import { named } from './named.ts';

/**
 * Input `platforms`: `linux/amd64,linux/arm64`, each once, in their order; none is the runner's own.
 *
 * @throws `INPUT_INVALID` naming the word that is no platform, `INPUT_REFUSED` one of another system than Linux
 */
export function parsePlatforms(text: string, own: Platform = hostPlatform()): readonly Platform[] {
  const hint = `Write for example platforms: ${formatPlatform(own)}`;
  const platforms = parseList('platforms', text).map((word) => {
    const platform = named('platforms', () => parsePlatform(word), hint);
    if (platform.os === 'linux') return platform;
    throw new EngineError('INPUT_REFUSED', `Cannot use input 'platforms': ${word} is not Linux`, { hint });
  });
  return [...new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()];
}

/**
 * A container is started for the smoke test, and only this machine's can be.
 *
 * @throws `INPUT_REFUSED` when none of the platforms runs here and the smoke test starts one
 */
export function checkTestable(platforms: readonly Platform[], smokeTest: string, own: Platform = hostPlatform()): void {
  if (platforms.length === 0 || platforms.some((platform) => runsOn(platform, own))) return;
  if (STARTS_NOTHING.includes(smokeTest)) return;
  const asked = platforms.map(formatPlatform).join(', ');
  throw new EngineError(
    'INPUT_REFUSED',
    `Cannot smoke-test input 'platforms': ${asked} was asked for, and this runner is ${formatPlatform(own)}`,
    { hint: `Add ${formatPlatform(own)}, use a runner for ${asked}, or write smoke-test: off` },
  );
}

const STARTS_NOTHING: readonly string[] = ['off', 'structure-only'];

/** What the scope of the cache is named by; the runner's own is one scope, however it is written. */
export function scopeOfPlatforms(platforms: readonly Platform[], own: Platform = hostPlatform()): string {
  const words = platforms.map(formatPlatform).toSorted();
  return words.length === 0 || words.join() === formatPlatform(own) ? `linux/${process.arch}` : words.join();
}

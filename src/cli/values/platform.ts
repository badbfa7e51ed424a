import { isEngineError, parsePlatform as readAnyPlatform, type Platform } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';

/** `linux/amd64`, `linux/arm64/v8`, or an architecture alone. @throws {UsageError} */
export function parsePlatform(word: string): Platform {
  const platform = readPlatform(word);
  if (platform.os === 'linux') return platform;
  throw new UsageError(`images for ${platform.os} are not supported`, 'wanted linux/ARCHITECTURE[/VARIANT]');
}

function readPlatform(word: string): Platform {
  try {
    return readAnyPlatform(word);
  } catch (error) {
    throw isEngineError(error) ? new UsageError(error.message, error.hint) : error;
  }
}

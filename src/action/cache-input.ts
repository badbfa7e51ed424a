import { EngineError } from '../../engine/index.ts';
import { parseList } from './csv.ts';
import { parseChoice } from './values.ts';

/** What the job may do with the Actions cache. */
export interface CacheSettings {
  readonly read: boolean;
  /** `trusted`: on the default branch and on tags. */
  readonly write: 'never' | 'trusted' | 'always';
  /** Name that takes the place of the one made of context, Dockerfile, target and platform. */
  readonly scope: string | undefined;
}

const MODES = ['auto', 'read', 'write', 'off'] as const;

/**
 * Input `cache`, or docker/build-push-action's `cache-from` and `cache-to` with `type=gha`.
 *
 * @throws `INPUT_REFUSED` for another type or a key that is not done, naming it; `INPUT_INVALID` when both ways are used
 */
export function parseCacheInputs(cache: string, from: string, to: string): CacheSettings {
  const mode = parseChoice('cache', cache, MODES);
  const [sources, targets] = [parseEntries('cache-from', from), parseEntries('cache-to', to)];
  if (sources.length === 0 && targets.length === 0) {
    return { read: mode === 'auto' || mode === 'read' || mode === 'write', write: writeOf(mode), scope: undefined };
  }
  if (cache !== '' && mode !== 'auto') {
    throw new EngineError(
      'INPUT_INVALID',
      "Cannot use input 'cache' beside cache-from or cache-to: they say the same",
      {
        hint: 'Delete the lines cache-from and cache-to',
      },
    );
  }
  const scopes = new Set([...sources, ...targets].map(({ scope }) => scope));
  if (scopes.size > 1) {
    throw new EngineError(
      'INPUT_REFUSED',
      "Cannot use inputs 'cache-from' and 'cache-to': they name different scopes",
      {
        hint: 'Give both the same scope=, or none',
      },
    );
  }
  return { read: sources.length > 0, write: targets.length > 0 ? 'always' : 'never', scope: [...scopes][0] };
}

function writeOf(mode: (typeof MODES)[number]): CacheSettings['write'] {
  if (mode === 'auto') return 'trusted';
  return mode === 'write' ? 'always' : 'never';
}

interface Entry {
  readonly scope: string | undefined;
}

/** One entry a line, `type=gha,scope=name,mode=max`. */
function parseEntries(name: string, text: string): readonly Entry[] {
  return parseList(name, text, { ignoreComma: true }).map((line) => parseEntry(name, line));
}

function parseEntry(name: string, line: string): Entry {
  const fields = line.split(',').map((field): readonly [string, string] => {
    const at = field.indexOf('=');
    return at < 0 ? ['', field] : [field.slice(0, at).trim(), field.slice(at + 1).trim()];
  });
  const { type, scope, ...others } = Object.fromEntries(fields);
  if (type !== 'gha') throw refused(name, line, 'only type=gha, the Actions cache, is there');
  for (const [key, value] of Object.entries(others)) {
    // Every step is kept, and no fault of the cache ever fails a build, so these two are what happens anyway.
    if ((key === 'mode' && value === 'max') || (key === 'ignore-error' && value === 'true')) continue;
    throw refused(name, line, `${key}=${value} is not done`);
  }
  return { scope: scope || undefined };
}

function refused(name: string, line: string, why: string): EngineError {
  return new EngineError('INPUT_REFUSED', `Cannot use input '${name}': '${line}', ${why}`, {
    hint: name === 'cache-to' ? 'Write cache-to: type=gha,mode=max' : 'Write cache-from: type=gha',
  });
}

import { isAbsolute, resolve } from 'node:path';
import { EngineError, type BuildCacheSource, type BuildCacheTarget } from '../../engine/index.ts';
import { parseCacheFrom, parseCacheTo } from '../cli/values/output.ts';
import { parseList } from './csv.ts';
import type { RunnerContext } from './environment.ts';
import { named } from './named.ts';
import { resolveNewPath } from './paths.ts';
import { parseChoice } from './values.ts';

/** What the job may do with the Actions cache, and which other caches it reads and writes. */
export interface CacheSettings {
  readonly read: boolean;
  /** `trusted`: on the default branch and on tags. */
  readonly write: 'never' | 'trusted' | 'always';
  /** Name that takes the place of the one made of context, Dockerfile, target and platform. */
  readonly scope: string | undefined;
}

/** Caches in registries and in folders. */
export interface OtherCaches {
  readonly from: readonly BuildCacheSource[];
  readonly to: readonly BuildCacheTarget[];
}

const MODES = ['auto', 'read', 'write', 'off'] as const;

/**
 * Input `cache`, or docker/build-push-action's `cache-from` and `cache-to`. One that names only caches in registries and folders leaves the
 * Actions cache alone, as there.
 *
 * @throws `INPUT_REFUSED` for another type or a key that is not done, naming it; `INPUT_INVALID` when both ways are used
 */
export function parseCacheInputs(
  cache: string,
  from: string,
  to: string,
  runner: Pick<RunnerContext, 'workspace' | 'temp'>,
): CacheSettings & OtherCaches {
  const mode = parseChoice('cache', cache, MODES);
  const [sources, targets] = [parseEntries('cache-from', from), parseEntries('cache-to', to)];
  const others = {
    from: sources.flatMap((line) => (isActions(line) ? [] : [otherSource(line, runner)])),
    to: targets.flatMap((line) => (isActions(line) ? [] : [otherTarget(line, runner)])),
  };
  const [read, write] = [sources.filter(isActions), targets.filter(isActions)];
  const isSilent = sources.length + targets.length === 0;
  if (isSilent || (read.length + write.length === 0 && cache !== '' && mode !== 'auto')) {
    return { read: mode !== 'off', write: writeOf(mode), scope: undefined, ...others };
  }
  if (cache !== '' && mode !== 'auto') {
    throw new EngineError(
      'INPUT_INVALID',
      "Cannot use input 'cache' beside cache-from or cache-to of type=gha: they say the same",
      { hint: 'Delete the lines with type=gha' },
    );
  }
  const scopes = new Set([
    ...read.map((line) => actionsScope('cache-from', line)),
    ...write.map((line) => actionsScope('cache-to', line)),
  ]);
  if (scopes.size > 1) {
    throw new EngineError(
      'INPUT_REFUSED',
      "Cannot use inputs 'cache-from' and 'cache-to': they name different scopes",
      { hint: 'Give both the same scope=, or none' },
    );
  }
  return { read: read.length > 0, write: write.length > 0 ? 'always' : 'never', scope: [...scopes][0], ...others };
}

function writeOf(mode: (typeof MODES)[number]): CacheSettings['write'] {
  if (mode === 'auto') return 'trusted';
  return mode === 'write' ? 'always' : 'never';
}

/** One entry a line, `type=gha,scope=name,mode=max`. */
function parseEntries(name: string, text: string): readonly string[] {
  return parseList(name, text, { ignoreComma: true });
}

function isActions(line: string): boolean {
  return fieldsOf(line)['type'] === 'gha';
}

function fieldsOf(line: string): Readonly<Record<string, string>> {
  const pairs = line.split(',').map((field): readonly [string, string] => {
    const at = field.indexOf('=');
    return at < 0 ? ['', field] : [field.slice(0, at).trim(), field.slice(at + 1).trim()];
  });
  return Object.fromEntries(pairs);
}

function actionsScope(name: string, line: string): string | undefined {
  const { type: _, scope, ...others } = fieldsOf(line);
  for (const [key, value] of Object.entries(others)) {
    // Every step is kept, and no fault of the cache ever fails a build, so these two are what happens anyway.
    if ((key === 'mode' && value === 'max') || (key === 'ignore-error' && value === 'true')) continue;
    throw new EngineError('INPUT_REFUSED', `Cannot use input '${name}': '${line}', ${key}=${value} is not done`, {
      hint: name === 'cache-to' ? 'Write cache-to: type=gha,mode=max' : 'Write cache-from: type=gha',
    });
  }
  return scope || undefined;
}

const OTHER_HINT = 'Use type=gha, type=registry,ref=NAME or type=local with a folder';

function otherSource(line: string, runner: Pick<RunnerContext, 'workspace' | 'temp'>): BuildCacheSource {
  const parsed = named('cache-from', () => parseCacheFrom(line, runner.workspace), OTHER_HINT);
  if (parsed.type === 'local') checkFolder('cache-from', fieldsOf(line)['src'] ?? '', runner);
  return parsed;
}

function otherTarget(line: string, runner: Pick<RunnerContext, 'workspace' | 'temp'>): BuildCacheTarget {
  const parsed = named('cache-to', () => parseCacheTo(line, runner.workspace), OTHER_HINT);
  if (parsed.type === 'local') checkFolder('cache-to', fieldsOf(line)['dest'] ?? '', runner);
  return parsed;
}

/** A relative folder lies in the workspace. An absolute one is meant as it is: `/tmp/.buildx-cache` stands in many workflows. */
function checkFolder(name: string, path: string, runner: Pick<RunnerContext, 'workspace' | 'temp'>): void {
  if (!isAbsolute(path)) resolveNewPath(name, resolve(runner.workspace, path), runner);
}

import type { CacheSettings } from '../cache-input.ts';
import type { RunnerContext } from '../environment.ts';
import type { CacheEndpoint } from './service.ts';
import type { Provenance } from './document.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The service of this job, or why there is none. */
export type CacheAccess =
  | {
      readonly kind: 'service';
      readonly endpoint: CacheEndpoint;
      readonly readable: boolean;
      readonly writable: boolean;
    }
  | { readonly kind: 'none'; readonly why: string };

/** Events that strangers can cause; what they wrote is not for releases (hardening.md 5, rule 12). */
const UNTRUSTED = /^(?:pull_request|pull_request_target|pull_request_review.*|issue_comment|workflow_run)$/;

/** What the runner offers. Source: @actions/cache, config.ts; spec/action.md 4. */
export function readCacheAccess(env: Environment): CacheAccess {
  const isOld = isServerOfOwn(env['GITHUB_SERVER_URL']) || !env['ACTIONS_CACHE_SERVICE_V2'];
  const url = (isOld && env['ACTIONS_CACHE_URL']) || env['ACTIONS_RESULTS_URL'];
  const token = env['ACTIONS_RUNTIME_TOKEN'];
  if (!url || !token || !URL.canParse(url))
    return { kind: 'none', why: 'the runner gives no cache service to this step' };
  const mode = (env['ACTIONS_CACHE_MODE'] ?? '').trim().toLowerCase();
  return {
    kind: 'service',
    endpoint: { url, token, version: isOld ? 1 : 2 },
    readable: mode !== 'none' && mode !== 'write-only',
    writable: mode !== 'none' && mode !== 'read',
  };
}

/** Whether this job saves, and if not, why. */
export function mayWrite(
  settings: CacheSettings,
  runner: RunnerContext,
): { readonly yes: true } | { readonly yes: false; readonly why: string } {
  if (settings.write === 'never') return { yes: false, why: 'the inputs say so' };
  if (runner.fork) return { yes: false, why: 'pull requests from forks may not' };
  if (settings.write === 'always') return { yes: true };
  if (UNTRUSTED.test(runner.eventName)) return { yes: false, why: `the event is ${runner.eventName}` };
  const onDefault = runner.defaultBranch !== undefined && runner.ref === `refs/heads/${runner.defaultBranch}`;
  if (onDefault || runner.refType === 'tag' || runner.eventName === 'schedule') return { yes: true };
  return { yes: false, why: `${runner.ref || 'this ref'} is neither the default branch nor a tag` };
}

/**
 * Whose local cache mounts a run sees, for a store that outlives its job: what it saves of them may hold nothing that a run of another repository
 * or ref, or a stranger's event, has left there.
 */
export function mountScopeOf({ repository, ref, eventName, fork }: RunnerContext): string {
  const isStrange = fork || UNTRUSTED.test(eventName);
  return JSON.stringify([repository.toLowerCase(), ref, isStrange ? eventName : '']);
}

/**
 * Whose finished steps a run adds to, for a store that outlives its job: those of strangers' events are found again by the same event of the same
 * ref alone, so that nothing which they made is taken for a step of another run. undefined: those of all.
 */
export function stepScopeOf(runner: RunnerContext): string | undefined {
  return runner.fork || UNTRUSTED.test(runner.eventName) ? mountScopeOf(runner) : undefined;
}

/** Whether what this run wrote may be used here: a release takes nothing that a stranger's event wrote. */
export function isTrusted(provenance: Provenance, runner: RunnerContext): boolean {
  if (provenance.repository.toLowerCase() !== runner.repository.toLowerCase()) return false;
  const release = runner.eventName === 'release' || runner.refType === 'tag';
  return !release || !UNTRUSTED.test(provenance.event);
}

function isServerOfOwn(server: string | undefined): boolean {
  const url = server && URL.canParse(server) ? new URL(server) : new URL('https://github.com');
  const host = url.hostname.toLowerCase();
  return host !== 'github.com' && !host.endsWith('.ghe.com') && !host.endsWith('.localhost');
}

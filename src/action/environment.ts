import { decodePercent } from '../../engine/index.ts';

/** What the runner tells about the job, read once. Nothing below reads the environment. */
export interface RunnerContext {
  /** GITHUB_WORKSPACE, absolute. */
  readonly workspace: string;
  /** RUNNER_TEMP, absolute; emptied by the runner around each job. */
  readonly temp: string;
  /** RUNNER_TOOL_CACHE. */
  readonly toolCache: string | undefined;
  readonly repository: string;
  readonly eventName: string;
  readonly ref: string;
  readonly refType: string;
  readonly defaultBranch: string | undefined;
  /** The pull request comes from another repository: no secrets, read-only tokens. */
  readonly fork: boolean;
  readonly runId: string;
  readonly runAttempt: string;
  readonly serverUrl: string;
  readonly sha: string;
  readonly debug: boolean;
  /** A machine of GitHub's own that is thrown away after the job. */
  readonly hosted: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The runner's variables as a {@link RunnerContext}.
 *
 * @param event what the file of GITHUB_EVENT_PATH holds, parsed; undefined when there is none
 */
export function readRunnerContext(env: Environment, event: unknown): RunnerContext {
  return {
    workspace: env['GITHUB_WORKSPACE'] || process.cwd(),
    temp: env['RUNNER_TEMP'] ?? '',
    toolCache: env['RUNNER_TOOL_CACHE'] || undefined,
    repository: env['GITHUB_REPOSITORY'] ?? '',
    eventName: env['GITHUB_EVENT_NAME'] ?? '',
    ref: env['GITHUB_REF'] ?? '',
    refType: env['GITHUB_REF_TYPE'] ?? '',
    defaultBranch: textAt(event, 'repository', 'default_branch'),
    fork: isFork(event, env['GITHUB_REPOSITORY'] ?? ''),
    runId: env['GITHUB_RUN_ID'] ?? '0',
    runAttempt: env['GITHUB_RUN_ATTEMPT'] ?? '1',
    serverUrl: env['GITHUB_SERVER_URL'] || 'https://github.com',
    sha: env['GITHUB_SHA'] ?? '',
    debug: env['RUNNER_DEBUG'] === '1',
    hosted: env['RUNNER_ENVIRONMENT'] === 'github-hosted',
  };
}

const TOKENS = ['ACTIONS_RUNTIME_TOKEN', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'GITHUB_TOKEN'];

/** Tokens that the runner puts into the environment of every JavaScript action: masked by the runner, searched by us. */
export function readTokens(env: Environment): readonly { readonly name: string; readonly value: string }[] {
  return TOKENS.map((name) => ({ name, value: env[name] ?? '' })).filter(({ value }) => value !== '');
}

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()]);

/** Passwords in the addresses of proxies, as they are written and as they are sent. */
export function readProxyPasswords(env: Environment): readonly string[] {
  return PROXIES.flatMap((name) => {
    const given = env[name] ?? '';
    const address = given.includes('://') ? given : `http://${given}`;
    const { password } = URL.canParse(address) ? new URL(address) : { password: '' };
    return password.length < SHORTEST_PASSWORD ? [] : [password, decodePercent(password)];
  });
}

/** A shorter one is no secret worth a log full of asterisks. */
const SHORTEST_PASSWORD = 4;

/** The same variables, of which the tokens can be read by name and are not listed: no child process inherits them. */
export function withHiddenTokens(env: Environment): Record<string, string | undefined> {
  const copy: Record<string, string | undefined> = { ...env };
  for (const { name, value } of readTokens(env)) {
    Object.defineProperty(copy, name, { value, enumerable: false, configurable: true, writable: true });
  }
  return copy;
}

/** Files and services of the runner that speak for this step. */
const OWN = /^(?:INPUT_|STATE_|ACTIONS_|GITHUB_(?:OUTPUT|STATE|ENV|PATH|STEP_SUMMARY|ARTIFACTS)$)/;

/** What a command of the user's is run with: what a `run:` step has, without the means to speak for this one. */
export function commandEnvironment(env: Environment): Environment {
  const given = Object.fromEntries(Object.entries(env).filter(([name]) => !OWN.test(name)));
  // Hidden from what inherits by itself, and there only when the workflow gave it to the step.
  const { GITHUB_TOKEN } = env;
  return GITHUB_TOKEN === undefined ? given : { ...given, GITHUB_TOKEN };
}

function isFork(event: unknown, repository: string): boolean {
  const head = textAt(event, 'pull_request', 'head', 'repo', 'full_name');
  // A deleted fork has no head repository any more; what it sends is still not ours.
  if (head === undefined) return valueAt(event, 'pull_request') !== undefined;
  return head.toLowerCase() !== repository.toLowerCase();
}

function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = valueAt(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

function valueAt(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
    value,
  );
}

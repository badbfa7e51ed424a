import type { TestContainer } from './container.ts';
import { endSignal } from './end-signal.ts';
import { HttpFailure, sendHttp, type HttpAnswer } from './http.ts';
import { jsonOf, type Json } from './json.ts';
import { selectOne, show, violations } from './predicates.ts';
import type { ReadinessProbe } from './spec.ts';

const MAX_BODY = 1 << 20;

/** What one look found. `never` is final, `down` means that nobody listens. */
export type Round =
  | { readonly kind: 'ready'; readonly at: { readonly port: number; readonly path: string; readonly status: number } }
  | {
      readonly kind: 'waiting' | 'never' | 'down';
      readonly message: string;
      /** Of the answer, where there was one that says no. */
      readonly status?: number;
    };

/** Every port, every path, once; the first path that the server knows decides. */
export async function probeOnce(
  container: TestContainer,
  probe: ReadinessProbe,
  options: { readonly ports: readonly number[]; readonly deadline: number; readonly signal?: AbortSignal | undefined },
): Promise<Round> {
  let round: Round = { kind: 'down', message: 'nothing answered' };
  for (const port of options.ports) {
    for (const path of probe.paths) {
      const next = await probePath(container, probe, { port, path, ...options });
      if (next === 'unknown path') continue;
      if (next.kind !== 'down') return next;
      round = next;
      break;
    }
  }
  return round;
}

async function probePath(
  container: TestContainer,
  probe: ReadinessProbe,
  at: {
    readonly port: number;
    readonly path: string;
    readonly deadline: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Round | 'unknown path'> {
  const { port, path, signal } = at;
  const target = container.ports.get(port);
  if (target === undefined) return { kind: 'down', message: `port ${port} is not published` };
  const total = Math.max(1, Math.ceil(Math.min(probe.timeoutSeconds * 1000, at.deadline - performance.now())));
  const ended = endSignal(container, signal);
  try {
    const request = { method: 'GET', path, headers: {} };
    const answer = await sendHttp(target, request, { total, idle: total, maxBody: MAX_BODY, signal: ended.signal });
    return judge(answer, probe, { port, path });
  } catch (error) {
    if (ended.signal.aborted && container.ended() !== undefined)
      return { kind: 'down', message: 'the process has ended' };
    if (!(error instanceof HttpFailure)) throw error;
    const message = `GET ${path} on port ${port}: ${error.message}`;
    return { kind: error.kind === 'down' ? 'down' : 'waiting', message };
  } finally {
    ended.dispose();
  }
}

/** Kubernetes calls 200 to 399 success. Where several paths are tried, one that the server does not know says nothing. */
function judge(
  answer: HttpAnswer,
  probe: ReadinessProbe,
  at: { readonly port: number; readonly path: string },
): Round | 'unknown path' {
  const { status } = answer;
  const body = probe.jsonpath.length > 0 || probe.failWhen.length > 0 ? jsonOf(answer.body) : undefined;
  const never = body === undefined ? undefined : findFailure(body, probe);
  if (never !== undefined) return { kind: 'never', message: `GET ${at.path} says ${never}` };
  const guessing = probe.paths.length > 1;
  const isLast = at.path === probe.paths.at(-1);
  const good = status >= 200 && status < (guessing && isLast ? 500 : 400);
  if (!good) {
    if (guessing && status < 500) return 'unknown path';
    return { kind: 'waiting', message: `GET ${at.path} on port ${at.port} answered ${status}`, status };
  }
  if (probe.jsonpath.length === 0) return { kind: 'ready', at: { ...at, status } };
  if (body === undefined)
    return { kind: 'waiting', message: `GET ${at.path} answered ${status} with a body that is no JSON` };
  const wrong = probe.jsonpath.flatMap(({ path, predicates }) =>
    violations(selectOne(path, body), predicates).map((text) => `${path.source}: ${text}`),
  );
  const [first] = wrong;
  return first === undefined
    ? { kind: 'ready', at: { ...at, status } }
    : { kind: 'waiting', message: `GET ${at.path}: ${first}` };
}

function findFailure(body: Json, probe: ReadinessProbe): string | undefined {
  for (const { path, values } of probe.failWhen) {
    const selected = selectOne(path, body);
    const value = values.find((candidate) => violations(selected, { '==': candidate }).length === 0);
    if (value !== undefined) return `${path.source} is ${show(value)}`;
  }
  return undefined;
}

import type { OnEvent } from '../../engine/index.ts';
import type { TestContainer } from './container.ts';
import { exercise } from './exercise.ts';
import type { Check } from './report.ts';
import type { RequestItem, SmokeSpec } from './spec.ts';
import type { Mask } from './text.ts';
import { track } from './track.ts';

/** What the requests of a spec are sent with. */
export interface RequestsContext {
  /** Container port. */
  readonly port: number;
  readonly mask: Mask;
  /** Nobody wrote these requests for this test. */
  readonly auto: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/** What came of them. */
export interface Sent {
  readonly checks: readonly Check[];
  /** Milliseconds of the answers, by the request's name. */
  readonly durations: ReadonlyMap<string, readonly number[]>;
  /** Milliseconds of every predict, the first one first. */
  readonly predict: readonly number[];
  /** False when the server does not answer any more. */
  readonly alive: boolean;
}

/** Sends the requests in their order; after one that the server did not survive the others are skipped. */
export async function sendAll(container: TestContainer, spec: SmokeSpec, context: RequestsContext): Promise<Sent> {
  const checks: Check[] = [];
  const durations = new Map<string, readonly number[]>();
  const predict = firstPredictOf(spec);
  let alive = true;
  let predictTimes: readonly number[] = [];
  for (const [index, item] of spec.requests.entries()) {
    if (!alive) {
      checks.push(skip(item));
      continue;
    }
    const vertex = { id: `smoke/request/${index}`, name: `request ${item.name}` };
    const sent = await track(
      vertex,
      context.onEvent,
      () => exercise(item, { container, ...context }, { firstPredict: item === predict, lenient: context.auto }),
      ({ check }) => (check.status === 'failed' ? check.summary : undefined),
    );
    checks.push(sent.check);
    alive = sent.alive;
    durations.set(item.name, [...(durations.get(item.name) ?? []), ...sent.durations]);
    if (predict !== undefined && isSameRoute(item, predict)) predictTimes = [...predictTimes, ...sent.durations];
  }
  return { checks, durations, predict: predictTimes, alive };
}

/** The first request with a body; a model that is asked by GET is the first that is not the readiness path again. */
export function firstPredictOf(spec: SmokeSpec): RequestItem | undefined {
  const withBody = spec.requests.find(({ request }) => request.body !== undefined);
  return withBody ?? spec.requests.find(({ request }) => !spec.readinessProbe.paths.includes(request.path));
}

function isSameRoute(item: RequestItem, other: RequestItem): boolean {
  return item.request.method === other.request.method && item.request.path === other.request.path;
}

/** A request that is not sent any more. */
export function skip(item: RequestItem): Check {
  return { name: item.name, status: 'skipped', summary: 'not sent: an earlier check failed', location: item.location };
}

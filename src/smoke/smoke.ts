import type { ActOptions, Ended, OnEvent } from '../../engine/index.ts';
import { budgetChecks } from './budget.ts';
import {
  candidatePorts,
  looksLikeServer,
  startTestContainer,
  type SmokeEngine,
  type SmokeImage,
  type TestContainer,
} from './container.ts';
import { endedCheck, causeOf } from './ended.ts';
import { describedRequests } from './described.ts';
import { exercise } from './exercise.ts';
import { autoSpec } from './load.ts';
import { waitReady, type Readiness } from './ready.ts';
import type { Check, SmokeReport } from './report.ts';
import { shutdownCheck, shutdownResult } from './shutdown.ts';
import type { RequestItem, SmokeSpec, SmokeTest } from './spec.ts';
import { createMask, type Mask } from './text.ts';
import { track } from './track.ts';

/** What a smoke test takes beside image and spec. */
export interface SmokeOptions extends ActOptions {
  readonly engine: SmokeEngine;
  /** Values that must not appear in the report. */
  readonly secrets?: readonly string[] | undefined;
}

/**
 * Tests a built image: starts it as production would, waits until it is ready, sends the requests in order without any retry, stops it,
 * and reports (smoke-test.md 4.4). A bad image gives a report with verdict `failed`; it throws only when the engine itself cannot do
 * its part or `signal` aborts. The container is gone when it returns, whatever happened.
 */
export async function smoke(image: SmokeImage, test: SmokeTest, options: SmokeOptions): Promise<SmokeReport> {
  if (test.kind === 'off') return { verdict: 'off', checks: [], imageSize: image.size };
  if (test.kind === 'auto' && !looksLikeServer(image.config)) return notAServer(image);
  const spec = test.kind === 'auto' ? await autoSpec(image.config) : test.spec;
  const mask = createMask(options.secrets);
  const ports = candidatePorts(spec, image.config);
  const container = await track({ id: 'smoke/start', name: 'start the container' }, options.onEvent, () =>
    startTestContainer(options.engine, image, spec, { ports, signal: options.signal, onEvent: options.onEvent }),
  );
  try {
    const tested = await runTests(container, spec, { ports, mask, auto: test.kind === 'auto', ...options });
    const stopped = await stop(container, patience(spec, tested), options.onEvent);
    return maskPlaces(conclude(image, spec, tested, stopped), mask);
  } finally {
    // Already stopped on the good way; a cancelled test gets no patience.
    await container.stop(1).catch(() => undefined);
  }
}

function notAServer(image: SmokeImage): SmokeReport {
  const check: Check = {
    name: 'smoke test',
    status: 'untested',
    summary: 'not smoke-tested: no EXPOSE, no HEALTHCHECK',
    hint: 'Add `EXPOSE 8000` to the Dockerfile, or a smoke-test file that says what to ask',
  };
  return { verdict: 'untested', checks: [check], imageSize: image.size };
}

/** A spec's own lines may hold a secret, and they are shown beside the failure. */
function maskPlaces(report: SmokeReport, mask: Mask): SmokeReport {
  const checks = report.checks.map((check) => {
    const { location } = check;
    return location?.excerpt === undefined
      ? check
      : { ...check, location: { ...location, excerpt: mask(location.excerpt) } };
  });
  return { ...report, checks };
}

/** What was found while the container ran. */
interface Tested {
  readonly checks: readonly Check[];
  readonly readiness: Readiness;
  readonly durations: ReadonlyMap<string, readonly number[]>;
  readonly predict: readonly number[];
  /** The process ended by itself. */
  readonly died: boolean;
}

interface TestContext {
  readonly ports: readonly number[];
  readonly mask: Mask;
  readonly auto: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnEvent | undefined;
}

async function runTests(container: TestContainer, spec: SmokeSpec, context: TestContext): Promise<Tested> {
  const ready = await track(
    { id: 'smoke/ready', name: 'wait until it is ready' },
    context.onEvent,
    () => waitReady(container, spec.readinessProbe, context),
    (readiness) =>
      readiness.kind === 'ready'
        ? undefined
        : readiness.kind === 'failed'
          ? readiness.message
          : 'the process has ended',
  );
  const first = await readyCheck(container, ready, context.mask);
  if (ready.kind !== 'ready') {
    const skipped = spec.requests.map(skip);
    return {
      checks: [first, ...skipped],
      readiness: ready,
      durations: new Map(),
      predict: [],
      died: ready.kind === 'ended',
    };
  }
  const described = context.auto ? await describedRequests(container, ready.port, context) : undefined;
  const asked = described === undefined ? spec : { ...spec, requests: described.requests };
  const requests = await sendAll(container, asked, { ...context, port: ready.port });
  const untested = described?.untested ?? [];
  const died = container.ended();
  const fell = died !== undefined && requests.checks.every(({ status }) => status !== 'failed');
  const process = fell ? [endedCheck(container, died, context)] : [];
  return {
    ...requests,
    checks: [first, ...requests.checks, ...untested, ...process],
    readiness: ready,
    died: died !== undefined,
  };
}

async function readyCheck(container: TestContainer, ready: Readiness, mask: Mask): Promise<Check> {
  if (ready.kind === 'ready') {
    const summary = `GET ${ready.path} on port ${ready.port} → ${ready.status}`;
    return { name: 'ready', status: 'passed', milliseconds: ready.seconds * 1000, summary };
  }
  if (ready.kind === 'ended') return { ...endedCheck(container, await container.whenEnded, { mask }), name: 'ready' };
  // A server that hangs may have said why.
  const cause = ready.reason === 'not-ready' ? causeOf(undefined, container.log.text()) : undefined;
  const known = cause !== undefined && cause.reason !== 'process-exited' ? cause : undefined;
  return {
    name: 'ready',
    status: 'failed',
    reason: known?.reason ?? ready.reason,
    summary: mask(ready.message),
    hint: known?.hint ?? ready.hint,
    failure: { problems: [mask(ready.message)], log: container.log.since(0).map(mask) },
  };
}

async function sendAll(
  container: TestContainer,
  spec: SmokeSpec,
  context: TestContext & { readonly port: number },
): Promise<Pick<Tested, 'checks' | 'durations' | 'predict'>> {
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
  return { checks, durations, predict: predictTimes };
}

/** The first request with a body; a model that is asked by GET is the first that is not the readiness path again. */
function firstPredictOf(spec: SmokeSpec): RequestItem | undefined {
  const withBody = spec.requests.find(({ request }) => request.body !== undefined);
  return withBody ?? spec.requests.find(({ request }) => !spec.readinessProbe.paths.includes(request.path));
}

function isSameRoute(item: RequestItem, other: RequestItem): boolean {
  return item.request.method === other.request.method && item.request.path === other.request.path;
}

function skip(item: RequestItem): Check {
  return { name: item.name, status: 'skipped', summary: 'not sent: an earlier check failed', location: item.location };
}

interface Stopped {
  readonly ended: Ended;
  readonly seconds: number;
}

/** Seconds between the stop signal and SIGKILL. How a server stops that never was ready tells nothing: it is not waited for. */
function patience({ shutdown }: SmokeSpec, { readiness }: Tested): number {
  return readiness.kind === 'ready' ? shutdown.timeoutSeconds : Math.min(1, shutdown.timeoutSeconds);
}

async function stop(container: TestContainer, seconds: number, onEvent: OnEvent | undefined): Promise<Stopped> {
  return await track({ id: 'smoke/stop', name: 'stop the container' }, onEvent, async () => {
    const start = performance.now();
    const ended = await container.stop(seconds);
    return { ended, seconds: (performance.now() - start) / 1000 };
  });
}

function conclude(image: SmokeImage, spec: SmokeSpec, tested: Tested, { ended, seconds }: Stopped): SmokeReport {
  const { readiness } = tested;
  const ready = readiness.kind === 'ready' ? readiness : undefined;
  const shutdown =
    tested.died || ready === undefined ? undefined : shutdownResult(ended, seconds, spec.shutdown.timeoutSeconds);
  const budgets = budgetChecks(spec, {
    startup: ready?.seconds,
    memoryPeak: ended.memoryPeak ?? undefined,
    imageSize: image.size,
    durations: tested.durations,
  });
  const checks = [
    ...tested.checks,
    ...(shutdown === undefined ? [] : [shutdownCheck(ended, shutdown, spec.shutdown, image.config)]),
    ...(ready === undefined ? [] : budgets),
  ];
  const failed = checks.find(({ status }) => status === 'failed');
  return {
    verdict: failed === undefined ? 'passed' : 'failed',
    exitReason: failed?.reason,
    checks,
    readySeconds: ready?.seconds,
    firstByteSeconds: ready?.firstByteSeconds,
    ready: ready === undefined ? undefined : { port: ready.port, path: ready.path },
    firstPredictMs: tested.predict[0],
    secondPredictMs: tested.predict[1],
    memoryPeak:
      ended.memoryPeak === null ? undefined : { bytes: ended.memoryPeak, source: ended.memorySource ?? 'unknown' },
    imageSize: image.size,
    shutdown,
  };
}

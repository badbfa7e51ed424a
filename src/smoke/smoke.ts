import { messageOf, type ActOptions, type OnEvent } from '../../engine/index.ts';
import { conclude, concludeStructure, type Stopped, type Tested } from './conclude.ts';
import {
  candidatePorts,
  detectedPorts,
  looksLikeServer,
  startTestContainer,
  type SmokeEngine,
  type SmokeImage,
  type TestContainer,
} from './container.ts';
import { endedCheck } from './ended.ts';
import { describedRequests, noDocument, withDescriptions } from './described.ts';
import type { CommandHost } from './command.ts';
import { runExtras } from './extras.ts';
import { autoSpec, parseSpec } from './load.ts';
import { createLogFile } from './log-file.ts';
import { modelPorts, withKnownModel } from './model.ts';
import { findModels } from './models.ts';
import { readyCheck } from './ready-check.ts';
import { waitReady, type Readiness } from './ready.ts';
import type { Check, SmokeReport } from './report.ts';
import { firstPredictOf, sendAll, skip } from './requests.ts';
import type { SmokeSpec, SmokeTest } from './spec.ts';
import { runStructureTests } from './structure/run.ts';
import { startableChecks } from './structure/startable.ts';
import { createMask, type Mask } from './text.ts';
import { track } from './track.ts';
import { writtenBy } from './written.ts';

/** What a smoke test takes beside image and spec. */
export interface SmokeOptions extends ActOptions {
  readonly engine: SmokeEngine;
  /** Values that must not appear in the report. */
  readonly secrets?: readonly string[] | undefined;
  /** What `test-command` is run with; a spec that has one needs it. */
  readonly host?: CommandHost | undefined;
  /** File that takes what the container says, without secrets. */
  readonly logFile?: string | undefined;
}

/**
 * Tests a built image: runs its structure tests, starts it as production would, waits until it is ready, sends the requests in order without any retry, stops it,
 * and reports (smoke-test.md 4.4). A bad image gives a report with verdict `failed`; it throws only when the engine itself cannot do
 * its part or `signal` aborts. The container is gone when it returns, whatever happened.
 */
export async function smoke(image: SmokeImage, test: SmokeTest, options: SmokeOptions): Promise<SmokeReport> {
  if (test.kind === 'off') return { verdict: 'off', checks: [], imageSize: image.size };
  if (test.kind === 'structure' || (test.kind === 'auto' && !looksLikeServer(image.config)))
    return await notStarted(image, test.kind, options);
  const spec = withKnownModel(test.kind === 'auto' ? await autoSpec(image.config) : test.spec, image.config);
  const mask = createMask([...(options.secrets ?? []), ...spec.run.secrets]);
  const { network, limits } = spec.run;
  const structure = await runStructureTests(spec.structure, { ...options, image, mask, network, limits });
  if (spec.structure.length > 0 && !spec.asksForServer && !looksLikeServer(image.config))
    return maskPlaces(concludeStructure(image, spec, structure), mask);
  const ports = (test.kind === 'auto' ? detectedPorts : candidatePorts)(spec, image.config);
  const logFile = createLogFile(options.logFile, mask, (error) =>
    options.onEvent?.({ type: 'warning', message: `The container's log is not whole: ${messageOf(error)}` }),
  );
  try {
    const published = [...new Set([...ports, ...modelPorts(spec)])];
    const start = { ports: published, signal: options.signal, onEvent: options.onEvent, onLine: logFile.write };
    const container = await track({ id: 'smoke/start', name: 'start the container' }, options.onEvent, () =>
      startTestContainer(options.engine, image, spec, start),
    );
    const auto = test.kind === 'auto';
    return await testAndStop(container, { image, spec }, { ports, mask, auto, structure, ...options });
  } finally {
    logFile.close();
  }
}

/** All that is done with a container that runs; it is gone when this returns. */
async function testAndStop(
  container: TestContainer,
  { image, spec }: { readonly image: SmokeImage; readonly spec: SmokeSpec },
  context: TestContext,
): Promise<SmokeReport> {
  try {
    const tested = await runTests(container, spec, { ...context, image });
    const stopped = await stop(container, patience(spec, tested), context.onEvent);
    const changes = await container.changes();
    const written = changes === undefined ? undefined : writtenBy(changes, context.mask);
    return maskPlaces({ ...conclude(image, spec, tested, stopped), written }, context.mask);
  } finally {
    // Already stopped on the good way; a cancelled test gets no patience.
    await container.stop(1).catch(() => undefined);
    await container.remove().catch(() => undefined);
  }
}

/** What is found without a start: whether the image could be started at all. Why it was not is told first. */
async function notStarted(image: SmokeImage, kind: 'auto' | 'structure', options: SmokeOptions): Promise<SmokeReport> {
  const check: Check = { name: 'smoke test', status: 'untested', ...NOT_STARTED[kind] };
  const mask = createMask(options.secrets);
  const checks = [check, ...(await startableChecks({ ...options, image, mask, network: 'none' }))];
  const failed = checks.find(({ status }) => status === 'failed');
  const verdict = failed === undefined ? 'untested' : 'failed';
  return { verdict, exitReason: failed?.reason, checks, imageSize: image.size };
}

const NOT_STARTED = {
  auto: {
    summary: 'not smoke-tested: no EXPOSE, no HEALTHCHECK',
    hint: 'Add `EXPOSE 8000` to the Dockerfile, or a smoke-test file that says what to ask',
  },
  structure: {
    summary: 'not smoke-tested: structure-only was asked for',
    hint: 'Leave `smoke-test` out to start the image',
  },
} as const;

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

interface TestContext {
  /** Rows of what was tested before the start. */
  readonly structure: readonly Check[];
  readonly ports: readonly number[];
  readonly mask: Mask;
  readonly auto: boolean;
  readonly host?: CommandHost | undefined;
  readonly logFile?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/** Seconds that a server of the kind that was guessed may not know its own path: some answer so while they load. */
const UNKNOWN_SECONDS = 30;

async function runTests(
  container: TestContainer,
  given: SmokeSpec,
  context: TestContext & { readonly image: SmokeImage },
): Promise<Tested> {
  const generic = context.auto ? (await parseSpec('version: 1', 'smoke-test: auto', [])).readinessProbe : undefined;
  const fallback = generic && { probe: generic, afterSeconds: UNKNOWN_SECONDS };
  const ready = await track(
    { id: 'smoke/ready', name: 'wait until it is ready' },
    context.onEvent,
    () => waitReady(container, given.readinessProbe, { ...context, fallback }),
    (readiness) =>
      readiness.kind === 'ready'
        ? undefined
        : readiness.kind === 'failed'
          ? readiness.message
          : 'the process has ended',
  );
  const first = await readyCheck(container, ready, context.mask);
  if (ready.kind !== 'ready') return notReady(given, ready, [...context.structure, first]);
  // A server of another kind than was guessed has no such models.
  const known = ready.insteadOf === undefined ? given : { ...given, model: undefined };
  const { spec, checks: models, readiness } = await findModels(container, known, ready, context);
  const before = [...context.structure, first, ...models];
  if (readiness.kind !== 'ready') return notReady(spec, readiness, before);
  const wantsExamples = context.auto || spec.openapi !== undefined;
  const described = wantsExamples ? await describedRequests(container, ready.port, context) : undefined;
  const wanted = [...spec.requests, ...(described?.requests ?? [])];
  const asked = await withDescriptions(container, ready.port, wanted, context);
  const sending = { ...context, port: ready.port, container };
  const requests = await sendAll(container, { ...spec, requests: asked }, sending);
  const baseUrl = baseUrlOf(container, ready.port);
  const env = commandEnv(baseUrl, context);
  const predict = firstPredictOf({ ...spec, requests: asked });
  const extras = await runExtras({ ...spec, requests: asked }, { ...sending, predict, env });
  const isLacking = described?.found === false && spec.openapi !== undefined;
  const untested = isLacking ? [noDocument(spec.openapi?.location, ready.port)] : (described?.untested ?? []);
  const died = container.ended();
  const checks = [...requests.checks, ...extras.checks];
  const fell = died !== undefined && checks.every(({ status }) => status !== 'failed');
  const process = fell ? [endedCheck(container, died, context)] : [];
  return {
    durations: extras.load
      ? new Map([...requests.durations, [extras.load.name, extras.load.durations]])
      : requests.durations,
    predict: [...requests.predict, ...(extras.load?.durations ?? [])],
    checks: [...before, ...checks, ...untested, ...process],
    readiness,
    baseUrl,
    died: died !== undefined,
  };
}

function notReady({ requests }: SmokeSpec, readiness: Readiness, checks: readonly Check[]): Tested {
  return {
    checks: [...checks, ...requests.map(skip)],
    readiness,
    durations: new Map(),
    predict: [],
    died: readiness.kind === 'ended',
  };
}

function baseUrlOf(container: TestContainer, port: number): string {
  const target = container.ports.get(port);
  return target === undefined ? '' : `http://${target.host}:${target.port}`;
}

/** What a test command finds beside its own environment (smoke-test.md 4.3). */
function commandEnv(
  baseUrl: string,
  { image, logFile }: TestContext & { readonly image: SmokeImage },
): Readonly<Record<string, string>> {
  return {
    BASE_URL: baseUrl,
    IMAGE_DIGEST: image.digest ?? image.reference,
    ...(logFile === undefined ? {} : { CONTAINER_LOG: logFile }),
  };
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

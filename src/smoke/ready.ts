import type { TestContainer } from './container.ts';
import { waitWhileAlive } from './end-signal.ts';
import { createLoopbackWatch, listenersOf } from './loopback.ts';
import { probeOnce } from './probe.ts';
import type { ExitReason } from './report.ts';
import type { ReadinessProbe } from './spec.ts';

/** How waiting ended. */
export type Readiness =
  | {
      readonly kind: 'ready';
      readonly port: number;
      readonly path: string;
      readonly status: number;
      readonly seconds: number;
      readonly firstByteSeconds: number;
      /** What the probe's own path answered until the other probe was taken. */
      readonly insteadOf?: string | undefined;
    }
  | {
      readonly kind: 'failed';
      readonly reason: ExitReason;
      readonly message: string;
      readonly hint?: string | undefined;
    }
  | { readonly kind: 'ended' };

/** Milliseconds between probes of a port that nobody listens on yet: a refused connection costs nothing. */
const DOWN_PERIOD = 100;

/**
 * Waits until the server says that it is ready: the only thing in a smoke test that is tried again. Ends at once when the process has
 * ended, when the body says that it never will be, or when the server listens where nobody can reach it.
 */
export async function waitReady(
  container: TestContainer,
  given: ReadinessProbe,
  options: {
    readonly ports: readonly number[];
    readonly signal?: AbortSignal | undefined;
    /** Taken when the path has been unknown to the server for so long: the probe was only a guess. */
    readonly fallback?: { readonly probe: ReadinessProbe; readonly afterSeconds: number } | undefined;
  },
): Promise<Readiness> {
  let probe = given;
  let unknownSince: number | undefined;
  let insteadOf: string | undefined;
  const deadline = container.startedAt + probe.startupTimeoutSeconds * 1000;
  const loopback = createLoopbackWatch(container, options.ports);
  let firstByteSeconds: number | undefined;
  let successes = 0;
  let last: string | undefined;
  for (;;) {
    if (container.ended() !== undefined) return { kind: 'ended' };
    if (performance.now() >= deadline)
      return await timedOut(container, probe, options.ports, last ?? 'nothing answered');
    const round = await probeOnce(container, probe, { ...options, deadline });
    unknownSince = round.kind === 'waiting' && round.status === 404 ? (unknownSince ?? performance.now()) : undefined;
    if (options.fallback && unknownSince !== undefined && insteadOf === undefined && round.kind === 'waiting') {
      if (secondsSince(unknownSince) >= options.fallback.afterSeconds) {
        insteadOf = round.message;
        const { startupTimeoutSeconds } = given;
        probe = { ...options.fallback.probe, startupTimeoutSeconds };
        continue;
      }
    }
    if (container.ended() !== undefined) return { kind: 'ended' };
    if (round.kind !== 'down') firstByteSeconds ??= secondsSince(container.startedAt);
    if (round.kind === 'never') return { kind: 'failed', reason: 'not-ready', message: round.message };
    successes = round.kind === 'ready' ? successes + 1 : 0;
    if (round.kind === 'ready' && successes >= probe.successThreshold) {
      const seconds = secondsSince(container.startedAt);
      return { kind: 'ready', ...round.at, seconds, firstByteSeconds: firstByteSeconds ?? seconds, insteadOf };
    }
    // What a probe says that the deadline cut short is less than what an earlier one saw.
    if (round.kind !== 'ready' && (last === undefined || performance.now() < deadline)) last = round.message;
    if (round.kind === 'down') {
      const found = await loopback.look();
      if (found !== undefined) return found;
    }
    const pause =
      round.kind === 'down' ? Math.min(DOWN_PERIOD, probe.periodSeconds * 1000) : probe.periodSeconds * 1000;
    await waitWhileAlive(Math.min(pause, Math.max(0, deadline - performance.now())), container, options.signal);
  }
}

async function timedOut(
  container: TestContainer,
  probe: ReadinessProbe,
  ports: readonly number[],
  last: string,
): Promise<Extract<Readiness, { kind: 'failed' }>> {
  const others = [...new Set((await listenersOf(container)).map(({ port }) => port))].filter(
    (port) => !ports.includes(port),
  );
  const [other] = others;
  const hint =
    other === undefined
      ? 'Raise readinessProbe.startupTimeoutSeconds if it needs longer, or set readinessProbe.httpGet'
      : `The container listens on ${others.join(', ')}: set readinessProbe.httpGet.port: ${other}`;
  const message = `not ready within ${probe.startupTimeoutSeconds} s (the process is still running); last probe: ${last}`;
  return { kind: 'failed', reason: 'not-ready', message, hint };
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}

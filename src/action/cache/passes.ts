import { isRecord, type Digest } from '../../../engine/index.ts';
import type { PassKey, PipelineResult } from '../../pipeline/index.ts';
import type { Check, SmokeReport } from '../../smoke/index.ts';

/** An image that passed a test, so that a pull request that changes nothing need not start it again (DESIGN.md 8). */
export interface PassRecord extends PassKey {
  /** Bundle, helper and isolation that it passed with. */
  readonly engine: string;
  readonly runId: string;
  /** RFC 3339. */
  readonly at: string;
  readonly found: Found;
}

/** The part of a report that is told again. */
interface Found {
  /** Set where nothing could be tested, or nothing was asked for: what was found says nothing of a server. */
  readonly verdict?: 'untested' | undefined;
  readonly checks: readonly Pick<Check, 'name' | 'status' | 'summary'>[];
  readonly readySeconds?: number | undefined;
  readonly firstPredictMs?: number | undefined;
  readonly memoryPeakBytes?: number | undefined;
  readonly imageSize?: number | undefined;
}

/** Records in one index; the newest stay. */
const MAX_PASSES = 50;
const MAX_CHECKS = 50;
const MAX_TEXT = 300;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const TEST = /^(?:auto|structure|[0-9a-f]{64})$/;
const STATES = ['passed', 'warning', 'untested'] as const;

/** The report of a record for the same key and engine, marked as one of an earlier run. */
export function findPass(passes: readonly PassRecord[], key: PassKey, engine: string): SmokeReport | undefined {
  const known = passes.find((pass) => isSame(pass, { ...key, engine }));
  if (!known) return undefined;
  const { checks, memoryPeakBytes, verdict = 'passed', ...figures } = known.found;
  return {
    verdict,
    passedIn: `run ${known.runId}`,
    checks,
    ...figures,
    memoryPeak: memoryPeakBytes === undefined ? undefined : { bytes: memoryPeakBytes, source: 'an earlier run' },
  };
}

/** The record of a result; undefined when the test is off, it failed, or was not tested in this run. */
export function passOf(
  { smoke, passKey }: Pick<PipelineResult, 'smoke' | 'passKey'>,
  about: Pick<PassRecord, 'engine' | 'runId' | 'at'>,
): PassRecord | undefined {
  if (passKey === undefined || smoke === undefined || smoke.passedIn !== undefined) return undefined;
  if (smoke.verdict !== 'passed' && smoke.verdict !== 'untested') return undefined;
  const { checks, readySeconds, firstPredictMs, memoryPeak, imageSize } = smoke;
  return {
    ...passKey,
    ...about,
    found: {
      verdict: smoke.verdict === 'untested' ? 'untested' : undefined,
      checks: checks.slice(0, MAX_CHECKS).map(({ name, status, summary }) => ({
        name: name.slice(0, MAX_TEXT),
        status,
        summary: summary?.slice(0, MAX_TEXT),
      })),
      readySeconds,
      firstPredictMs,
      memoryPeakBytes: memoryPeak?.bytes,
      imageSize,
    },
  };
}

/** The old records and a new one; one that says what is known already changes nothing. */
export function withPass(passes: readonly PassRecord[], pass: PassRecord | undefined): readonly PassRecord[] {
  if (!pass || passes.some((known) => isSame(known, pass))) return passes;
  return [pass, ...passes].slice(0, MAX_PASSES);
}

/** What identifies the records, for comparing two lists. */
export function keysOf(passes: readonly PassRecord[]): readonly string[] {
  return passes.map(({ digest, test, engine }) => `${digest} ${test} ${engine}`).toSorted();
}

/** Records from outside: one that is not well formed is as good as none. */
export function parsePasses(value: unknown): readonly PassRecord[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MAX_PASSES).flatMap((item: unknown) => toPass(item) ?? []);
}

function isSame(one: PassKey & { readonly engine: string }, other: PassKey & { readonly engine: string }): boolean {
  return one.digest === other.digest && one.test === other.test && one.engine === other.engine;
}

function toPass(value: unknown): PassRecord | undefined {
  if (!isRecord(value) || !isRecord(value['found'])) return undefined;
  const { digest, test, engine, runId, at, found } = value;
  const { verdict, checks, readySeconds, firstPredictMs, memoryPeakBytes, imageSize } = found;
  if (verdict !== undefined && verdict !== 'untested') return undefined;
  if (typeof digest !== 'string' || !DIGEST.test(digest) || typeof test !== 'string' || !TEST.test(test)) {
    return undefined;
  }
  if (!isText(engine) || !isText(runId) || !/^\d{1,20}$/.test(runId) || !isText(at)) return undefined;
  if (!Array.isArray(checks) || checks.length > MAX_CHECKS) return undefined;
  const rows = checks.flatMap((check: unknown) => toCheck(check) ?? []);
  if (rows.length !== checks.length) return undefined;
  return {
    // Matched against the grammar above.
    digest: digest as Digest,
    test,
    engine,
    runId,
    at,
    found: {
      verdict,
      checks: rows,
      readySeconds: numberOf(readySeconds),
      firstPredictMs: numberOf(firstPredictMs),
      memoryPeakBytes: numberOf(memoryPeakBytes),
      imageSize: numberOf(imageSize),
    },
  };
}

function toCheck(value: unknown): Found['checks'][number] | undefined {
  if (!isRecord(value)) return undefined;
  const { name, status, summary } = value;
  const state = STATES.find((one) => one === status);
  if (!isText(name) || state === undefined || !(summary === undefined || isText(summary))) return undefined;
  return { name, status: state, summary };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

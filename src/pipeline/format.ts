import { escapeControl, formatPlatform, isEngineError, messageOf } from '../../engine/index.ts';
import type { Check, SmokeReport } from '../smoke/index.ts';
import { createPaint, type Paint } from './paint.ts';
import type { PipelineResult } from './result.ts';
import { testedPlatform, untestedPlatforms } from './tested.ts';
import { formatTimeline } from './timeline.ts';

/** How a report is written. */
export interface FormatOptions {
  /** Only a terminal understands colours. Default false. */
  readonly color?: boolean | undefined;
  /** Width of the terminal in characters. Default 100. */
  readonly columns?: number | undefined;
}

/** A result for people: what was built, what was tested, when each step ran, and the verdict as its last line. */
export function formatReport(result: PipelineResult, options: FormatOptions = {}): string {
  const paint = createPaint(options.color ?? false);
  const sections = [
    buildLines(result),
    result.smoke === undefined ? [] : smokeLines(result.smoke, paint),
    pushLines(result),
    formatTimeline(result.timeline, options.columns ?? 100),
    errorLines(result, paint),
    [verdict(result, paint)],
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

/** The line that counts: `tested sha256:… == pushed sha256:…`. */
export function verdict(result: PipelineResult, paint: Paint = createPaint(false)): string {
  const { testedDigest, pushedDigest, smoke } = result;
  if (!result.ok) return paint.bad(`✘ ${result.exitReason ?? 'failed'}: nothing was vouched for${pushNote(result)}`);
  const isTested = smoke?.verdict !== 'off' && smoke?.verdict !== 'untested';
  const subject = isTested
    ? `tested ${testedDigest ?? 'nothing'}`
    : `UNTESTED ${result.build?.manifest?.digest ?? 'nothing'}`;
  const of = isTested ? ofPlatforms(result) : '';
  if (pushedDigest === undefined) return paint.good(`✔ ${subject}${of} (not pushed: push is not set)`);
  const line = of === '' ? `${subject} == pushed ${pushedDigest}` : `${subject}${of} in pushed ${pushedDigest}`;
  return isTested ? paint.good(`✔ ${line}`) : paint.warn(`! ${line}`);
}

/** Of several platforms one is tested: which one, and which were not. */
function ofPlatforms(result: PipelineResult): string {
  const tested = testedPlatform(result);
  if (!tested) return '';
  const others = untestedPlatforms(result);
  return ` (${formatPlatform(tested.platform)}${others.length === 0 ? '' : `; built only: ${others.join(', ')}`})`;
}

function pushNote({ pushes }: PipelineResult): string {
  if (pushes.length === 0) return ', nothing was pushed';
  return `, but these were pushed before: ${pushes.map(({ name }) => name).join(', ')}`;
}

function buildLines({ build, given }: PipelineResult): readonly string[] {
  if (build === undefined) return [];
  const { total, cached, executed } = build.steps;
  if (given) return [`image ${build.imageId}: as it is, ${bytes(build.size)}`];
  return [`built ${build.imageId}: ${total} steps, ${cached} cached, ${executed} executed, ${bytes(build.size)}`];
}

function pushLines({ pushes }: PipelineResult): readonly string[] {
  return pushes.map(({ name, digest, uploaded, existed, mounted }) => {
    const blobs = `${uploaded.blobs} blobs pushed (${bytes(uploaded.bytes)}), ${existed} existing, ${mounted} mounted`;
    return `pushed ${name}@${digest}: ${blobs}`;
  });
}

const MARKS: Readonly<Record<Check['status'], string>> = {
  passed: '✔',
  failed: '✘',
  warning: '!',
  untested: '?',
  skipped: '-',
};

function smokeLines(report: SmokeReport, paint: Paint): readonly string[] {
  if (report.verdict === 'off') return [paint.warn('smoke test: OFF, nothing was tested')];
  const title =
    report.passedIn === undefined ? 'smoke test' : `smoke test: not started again, passed in ${report.passedIn}`;
  return [title, ...report.checks.flatMap((check) => checkLines(check, paint)), ...figures(report)];
}

function checkLines(check: Check, paint: Paint): readonly string[] {
  const { status, name, summary, milliseconds, hint } = check;
  const time = milliseconds === undefined ? '' : ` (${duration(milliseconds)})`;
  const untested = status === 'untested' ? 'untested: ' : '';
  const line = `  ${MARKS[status]} ${name}${summary === undefined ? '' : `: ${untested}${summary}`}${time}`;
  const shown = status === 'failed' ? paint.bad(line) : status === 'passed' ? line : paint.warn(line);
  const told = hint !== undefined && status !== 'passed' ? [`      ${hint}`] : [];
  return [shown, ...told, ...(status === 'failed' ? failureLines(check) : [])];
}

function failureLines({ failure, location, summary }: Check): readonly string[] {
  if (failure === undefined) return [];
  const { problems, curl, status, body, log } = failure;
  return [
    ...(location === undefined ? [] : [`      at ${location.file}:${location.startLine}`]),
    ...problems.filter((problem) => problem !== summary).map((problem) => `      ${problem}`),
    ...(curl === undefined ? [] : [`      request:  ${curl}`]),
    ...(status === undefined ? [] : [`      status:   ${status}`]),
    ...(body === undefined ? [] : indented('answer:  ', body)),
    ...(log === undefined
      ? []
      : log.length === 0
        ? ['      log:      (the container said nothing)']
        : ['      log:', ...log.map((line) => `        | ${line}`)]),
  ];
}

function indented(label: string, text: string): readonly string[] {
  const [first = '', ...rest] = text.split('\n');
  return [`      ${label} ${first}`, ...rest.map((line) => `                ${line}`)];
}

function figures(report: SmokeReport): readonly string[] {
  const { readySeconds, firstPredictMs, secondPredictMs, p95Ms, memoryPeak, imageSize, shutdown } = report;
  const parts = [
    ...(readySeconds === undefined ? [] : [`ready ${readySeconds.toFixed(1)} s`]),
    ...(firstPredictMs === undefined ? [] : [`first predict ${duration(firstPredictMs)}`]),
    ...(secondPredictMs === undefined ? [] : [`second ${duration(secondPredictMs)}`]),
    ...(p95Ms === undefined ? [] : [`p95 ${duration(p95Ms)}`]),
    ...(memoryPeak === undefined ? [] : [`peak memory ${bytes(memoryPeak.bytes)} (${memoryPeak.source})`]),
    ...(imageSize === undefined ? [] : [`image ${bytes(imageSize)}`]),
    ...(shutdown === undefined ? [] : [`shutdown ${shutdown.seconds.toFixed(1)} s`]),
  ];
  return [...(parts.length === 0 ? [] : [`  ${parts.join(' · ')}`]), ...writtenLines(report)];
}

function writtenLines({ written }: SmokeReport): readonly string[] {
  if (written === undefined) return [];
  if (written.count === 0) return ['  wrote nothing to its root'];
  const more = written.count > written.paths.length ? ', …' : '';
  return [`  wrote ${written.count} paths: ${written.paths.join(', ')}${more}`];
}

function errorLines({ error, failedStep }: PipelineResult, paint: Paint): readonly string[] {
  if (error === undefined) return [];
  const lines = [paint.bad(escapeControl(`${failedStep ?? 'pipeline'}: ${messageOf(error)}`))];
  if (!isEngineError(error)) return lines;
  const excerpt = error.location?.excerpt;
  return [
    ...lines,
    ...(excerpt === undefined ? [] : [escapeControl(excerpt)]),
    ...(error.hint === undefined ? [] : [escapeControl(`hint: ${error.hint}`)]),
  ];
}

function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const unit = count < 1e6 ? 'kB' : count < 1e9 ? 'MB' : 'GB';
  return `${(count / { kB: 1e3, MB: 1e6, GB: 1e9 }[unit]).toFixed(1)} ${unit}`;
}

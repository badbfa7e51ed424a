import { formatPlatform, isEngineError, messageOf, type VertexEvent } from '../../engine/index.ts';
import { testedPlatform, untestedPlatforms, type PipelineResult } from '../pipeline/index.ts';
import { gantt, nameSteps } from './gantt.ts';
import { block, code, details, escapeMarkdown, table } from './markdown.ts';

/** What the summary says beside the pipeline's result. */
export interface ReportOptions {
  /** What the cache did, in a sentence; of our own words. */
  readonly cache: string;
  /** The isolation rung in use. */
  readonly isolation: string;
  /** The inputs said that nothing is to be pushed. */
  readonly push: boolean;
  readonly redact: (text: string) => string;
}

/** GitHub cuts a summary at 1 MiB, and all of a job's are shown on one page. */
const MAX_BYTES = 64 * 1024;

/** The job summary: verdict first, details last and cut first. At most 64 KiB of Markdown. */
export function formatSummary(result: PipelineResult, options: ReportOptions): string {
  const { redact } = options;
  const parts = [
    firstLine(result),
    overview(result, options),
    failureText(result),
    picture(result.timeline),
    checksText(result),
    stepsText(result.timeline),
    warningsText(result),
  ].filter((part) => part !== '');
  return fit(parts.map(redact));
}

/** What a person needs to know in ten seconds, in a line. */
export function firstLine(result: PipelineResult): string {
  const { smoke, build, testedDigest = 'nothing', pushedDigest } = result;
  if (!result.ok) return `### ✘ ${result.exitReason ?? 'failed'}: ${escapeMarkdown(reasonOf(result))}`;
  const tested = smoke?.verdict === 'passed';
  const member = testedPlatform(result);
  const platform = member ? ` (${formatPlatform(member.platform)})` : '';
  const words = [
    tested ? `tested ${testedDigest}${platform}` : `UNTESTED ${build?.manifest?.digest ?? testedDigest}`,
    ...(pushedDigest === undefined ? [] : [`${tested ? (member ? 'in' : '=') : ''} pushed ${pushedDigest}`.trim()]),
  ].join(' ');
  const others = tested ? untestedPlatforms(result) : [];
  const figures = [
    ...(others.length === 0 ? [] : [`built only ${others.join(', ')}`]),
    ...(smoke?.passedIn === undefined ? [] : [`passed in ${escapeMarkdown(smoke.passedIn)}`]),
    ...(smoke?.readySeconds === undefined ? [] : [`ready ${smoke.readySeconds.toFixed(1)} s`]),
    ...(smoke?.firstPredictMs === undefined ? [] : [`first predict ${smoke.firstPredictMs.toFixed(0)} ms`]),
    ...(smoke?.memoryPeak === undefined ? [] : [`${size(smoke.memoryPeak.bytes)} peak`]),
  ];
  return `### ${tested ? '✔' : '⚠'} ${[words, ...figures].join(' · ')}`;
}

function reasonOf({ error, smoke, failedStep }: PipelineResult): string {
  if (error !== undefined) return messageOf(error);
  const check = smoke?.checks.find(({ status }) => status === 'failed');
  return check
    ? `${check.name}${check.summary === undefined ? '' : `: ${check.summary}`}`
    : `the step ${failedStep ?? ''} failed`;
}

function overview(result: PipelineResult, { cache, isolation, push }: ReportOptions): string {
  const { build, given, smoke, pushes } = result;
  const rows: (readonly string[])[] = [];
  if (build && given) rows.push(['image', `${code(build.imageId)} · as it is · ${size(build.size)}`]);
  else if (build) {
    const { total, cached, executed } = build.steps;
    rows.push([
      'built',
      `${code(build.imageId)} · ${total} steps, ${cached} cached, ${executed} run · ${size(build.size)}`,
    ]);
  }
  rows.push(['tested', testedText(result)], ...platformRows(result));
  for (const { name, digest, uploaded, existed, mounted } of pushes) {
    const blobs = `${uploaded.blobs} uploaded (${size(uploaded.bytes)}), ${existed} existing, ${mounted} mounted`;
    rows.push(['pushed', `${code(`${name}@${digest}`)} · blobs: ${blobs}`]);
  }
  if (pushes.length === 0) rows.push(['pushed', push ? 'nothing' : 'nothing: push is false']);
  rows.push(['cache', escapeMarkdown(cache)], ['isolation', escapeMarkdown(isolation)]);
  if (smoke?.shutdown)
    rows.push(['stopped', `in ${smoke.shutdown.seconds.toFixed(1)} s${smoke.shutdown.forced ? ', by SIGKILL' : ''}`]);
  if (smoke?.written)
    rows.push([
      'wrote',
      smoke.written.count === 0
        ? 'nothing'
        : `${smoke.written.count} paths: ${smoke.written.paths.map(code).join(', ')}`,
    ]);
  rows.push(['time', `${(result.milliseconds / 1000).toFixed(1)} s`]);
  return table(['', ''], rows);
}

function testedText({ smoke }: PipelineResult): string {
  if (smoke === undefined) return 'not reached';
  if (smoke.verdict === 'off') return '<strong>UNTESTED</strong>: smoke-test is off';
  const count = (status: string): number => smoke.checks.filter((check) => check.status === status).length;
  const counts = (['passed', 'failed', 'warning', 'untested'] as const)
    .map((status) => [status, count(status)] as const)
    .filter(([, n]) => n > 0)
    .map(([status, n]) => `${n} ${status}`);
  const earlier =
    smoke.passedIn === undefined ? '' : `not started again: passed in ${escapeMarkdown(smoke.passedIn)} · `;
  return `${earlier}${smoke.verdict === 'untested' ? '<strong>UNTESTED</strong>: ' : ''}${counts.join(', ') || smoke.verdict}`;
}

/** Of an image for several platforms: what came of each. */
function platformRows(result: PipelineResult): readonly (readonly string[])[] {
  const { build, smoke } = result;
  const tested = smoke === undefined || smoke.verdict === 'off' ? undefined : testedPlatform(result);
  const items = (build?.platforms ?? []).map((one) => {
    const fate = one !== tested ? 'built only' : smoke?.verdict === 'passed' ? 'tested' : (smoke?.verdict ?? '');
    return `${escapeMarkdown(formatPlatform(one.platform))} ${fate}: ${code(one.manifest.digest)}`;
  });
  return items.length === 0 ? [] : [['platforms', items.join(' · ')]];
}

function failureText({ error, smoke }: PipelineResult): string {
  if (error !== undefined) {
    const excerpt = isEngineError(error) ? error.location?.excerpt : undefined;
    const hint = isEngineError(error) && error.hint !== undefined ? `\n\n${escapeMarkdown(error.hint)}` : '';
    return `${block([messageOf(error), ...(excerpt === undefined ? [] : ['', excerpt])].join('\n'))}${hint}`;
  }
  const failed = smoke?.checks.find(({ status, failure }) => status === 'failed' && failure !== undefined)?.failure;
  if (!failed) return '';
  const { problems, curl, status, body, log = [] } = failed;
  const lines = [
    ...problems,
    ...(curl === undefined ? [] : ['', curl]),
    ...(status === undefined ? [] : ['', `status ${status}`]),
    ...(body === undefined ? [] : ['', body]),
    ...(log.length === 0 ? [] : ['', 'container:', ...log]),
  ];
  return block(lines.join('\n'));
}

function picture(timeline: readonly VertexEvent[]): string {
  return gantt(nameSteps(timeline)) ?? '';
}

function checksText({ smoke }: PipelineResult): string {
  if (!smoke || smoke.checks.length === 0) return '';
  const rows = smoke.checks.map(({ name, status, summary = '', milliseconds, hint }) => [
    status,
    escapeMarkdown(name),
    escapeMarkdown([summary, ...(hint === undefined || status === 'passed' ? [] : [hint])].filter(Boolean).join(' — ')),
    milliseconds === undefined ? '' : `${milliseconds.toFixed(0)} ms`,
  ]);
  return details(`Smoke test: ${smoke.checks.length} checks`, table(['', 'check', 'found', 'time'], rows));
}

function stepsText(timeline: readonly VertexEvent[]): string {
  if (timeline.length === 0) return '';
  const rows = nameSteps(timeline).map(({ label, vertex }) => [
    label,
    code(vertex.name.slice(0, 200)),
    vertex.cached ? 'cached' : `${(((vertex.completed ?? 0) - (vertex.started ?? 0)) / 1000).toFixed(1)} s`,
  ]);
  return details(`${rows.length} steps`, table(['', 'step', 'time'], rows));
}

function warningsText({ build }: PipelineResult): string {
  if (!build || build.warnings.length === 0) return '';
  const lines = build.warnings.map(({ message, hint, location }) => {
    const place = location ? `${location.file}:${location.startLine} ` : '';
    return `- ${escapeMarkdown(`${place}${message}${hint === undefined ? '' : ` — ${hint}`}`)}`;
  });
  return details(`${lines.length} warnings`, lines.join('\n'));
}

/** Whole parts from the top, as many as fit; a part is never cut in two, so no mark-up stays open. */
function fit(parts: readonly string[]): string {
  const note = '_More was cut: the log of the step has it._';
  let text = '';
  for (const part of parts) {
    const next = text === '' ? part : `${text}\n\n${part}`;
    if (Buffer.byteLength(next) > MAX_BYTES - Buffer.byteLength(note) - 4) return `${cut(text || part)}\n\n${note}\n`;
    text = next;
  }
  return `${text}\n`;
}

/** Only a verdict with an endless message comes here. */
function cut(text: string): string {
  return text.length > MAX_BYTES / 4 ? text.slice(0, MAX_BYTES / 4) : text;
}

function size(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

import {
  escapeControl,
  messageOf,
  type BuildRequest,
  type CheckReport,
  type Engine,
  type OnEvent,
} from '../../../engine/index.ts';
import type { Context } from '../context.ts';
import type { Writer } from '../output.ts';
import { createWarnings } from '../progress/warnings.ts';
import { reportError } from '../report-error.ts';
import { UsageError } from '../usage-error.ts';
import { formatOutline, formatTargets, locationOf } from './build-outline.ts';

const CALLS = { build: 'build', check: 'check', lint: 'check', outline: 'outline', targets: 'targets' } as const;

/** What `--call` asks for. */
export interface Call {
  readonly kind: (typeof CALLS)[keyof typeof CALLS];
  readonly isJson: boolean;
  /** Findings do not change the exit code. */
  readonly ignoreStatus: boolean;
}

/** Reads `check`, `outline,format=json` and so on. @throws {UsageError} for what Docker does not know */
export function parseCall(text: string): Call {
  const [name = '', ...fields] = text.split(',');
  const kind = Object.hasOwn(CALLS, name) ? CALLS[name as keyof typeof CALLS] : undefined;
  if (kind === undefined) throw new UsageError(`wanted one of ${Object.keys(CALLS).join(', ')}`);
  return fields.reduce<Call>((call, field) => ({ ...call, ...readField(field) }), {
    kind,
    isJson: false,
    ignoreStatus: false,
  });
}

function readField(field: string): Partial<Call> {
  const [key = '', value = ''] = field.split('=', 2);
  if (key === 'format' && (value === 'json' || value === 'text')) return { isJson: value === 'json' };
  if (key === 'ignorestatus' && (value === 'true' || value === 'false')) return { ignoreStatus: value === 'true' };
  throw new UsageError(`invalid field "${field}"`, 'write format=json, format=text or ignorestatus=true');
}

/** Answers a call other than `build` on standard output; the result is Docker's exit code: 1 when a check found something. */
export async function answerCall(
  { stdout, stderr, signal }: Pick<Context, 'stdout' | 'stderr' | 'signal'>,
  engine: Engine,
  call: Call,
  request: BuildRequest,
): Promise<number> {
  if (call.kind === 'targets') {
    stdout.write(formatTargets(await engine.dockerfile.targets(request, { signal }), call.isJson));
    return 0;
  }
  if (call.kind === 'outline') {
    stdout.write(formatOutline(await engine.dockerfile.outline(request, { signal }), call.isJson));
    return 0;
  }
  const report = await engine.dockerfile.check(request, { signal, onEvent: tellWarnings(stderr) });
  stdout.write(call.isJson ? toJson(report) : toText(report));
  if (report.error !== undefined && !call.isJson) reportError(report.error, stderr);
  const isClean = report.warnings.length === 0 && report.error === undefined;
  return isClean || call.ignoreStatus ? 0 : 1;
}

/** What is no finding of a check is said as a build says it, and changes no exit code. */
function tellWarnings(stderr: Writer): OnEvent {
  const linesOf = createWarnings();
  return (event) => {
    if (event.type === 'warning') for (const line of linesOf(event)) stderr.write(`${line}\n`);
  };
}

function toText({ file, warnings, error }: CheckReport): string {
  const count = warnings.length;
  if (count === 0) return error === undefined ? 'Check complete, no warnings found.\n' : '';
  const head = `Check complete, ${count === 1 ? '1 warning has' : `${count} warnings have`} been found!\n`;
  const frame = '--------------------';
  const blocks = warnings.map(({ rule, url, detail, startLine, excerpt }) => {
    const title = `WARNING: ${rule}${url === '' ? '' : ` - ${url}`}`;
    return [title, escapeControl(detail), `${escapeControl(file)}:${startLine}`, frame, excerpt, frame, ''].join('\n');
  });
  return [head, ...blocks].join('\n');
}

function toJson({ file, text, warnings, error }: CheckReport): string {
  const document = {
    warnings: warnings.map(({ rule, description, url, detail, startLine, endLine }) => ({
      ruleName: rule,
      description,
      ...(url === '' ? {} : { url }),
      detail,
      location: locationOf({ startLine, endLine }),
    })),
    sources: [{ filename: file, data: Buffer.from(text).toString('base64'), language: 'Dockerfile' }],
    ...(error === undefined ? {} : { buildError: { message: messageOf(error) } }),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

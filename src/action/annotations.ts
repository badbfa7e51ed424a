import { isEngineError, messageOf, type SourceLocation } from '../../engine/index.ts';
import type { PipelineResult } from '../pipeline/index.ts';
import type { AnnotationProperties, Commands } from './commands.ts';

/** One annotation of the step. */
export interface Annotation extends AnnotationProperties {
  readonly kind: 'error' | 'warning';
  readonly message: string;
}

/** The runner shows ten of a kind a step (spec/action.md 3). */
const MAX = 10;
const MAX_MESSAGE = 4000;

/** @param fileOf the path that the diff names a file by; undefined when it is not part of the checkout */
export function annotationsOf(
  result: PipelineResult,
  fileOf: (path: string) => string | undefined,
): readonly Annotation[] {
  return [...failures(result, fileOf), ...warnings(result, fileOf)].slice(0, MAX);
}

/** Prints them; the message's foreign parts cannot end the command, since it is escaped. */
export function annotate(
  commands: Commands,
  annotations: readonly Annotation[],
  redact: (text: string) => string,
): void {
  for (const { kind, message, ...properties } of annotations) {
    commands.annotate(kind, redact(message).slice(0, MAX_MESSAGE), properties);
  }
}

/** One error, placed where the user can mend it. */
export function errorAnnotation(error: unknown, fileOf: (path: string) => string | undefined): Annotation {
  if (!isEngineError(error)) return { kind: 'error', message: messageOf(error) };
  const message = error.hint === undefined ? error.message : `${error.message}\n${error.hint}`;
  return { kind: 'error', message, ...placeOf(error.location, fileOf) };
}

function failures(result: PipelineResult, fileOf: (path: string) => string | undefined): readonly Annotation[] {
  if (result.error !== undefined) return [errorAnnotation(result.error, fileOf)];
  const failed = result.smoke?.checks.filter(({ status }) => status === 'failed') ?? [];
  return failed.map(({ name, summary, failure, location, hint }) => ({
    kind: 'error',
    title: 'Smoke test failed',
    message: [
      `${name}: ${failure?.problems.join('; ') || summary || 'failed'}`,
      ...(hint === undefined ? [] : [hint]),
    ].join('\n'),
    ...placeOf(location, fileOf),
  }));
}

function warnings(result: PipelineResult, fileOf: (path: string) => string | undefined): readonly Annotation[] {
  return (result.build?.warnings ?? [])
    .filter(({ location }) => location !== undefined)
    .map(({ message, hint, location, rule }) => ({
      kind: 'warning',
      ...(rule === undefined ? {} : { title: rule }),
      message: hint === undefined ? message : `${message}\n${hint}`,
      ...placeOf(location, fileOf),
    }));
}

function placeOf(
  location: Pick<SourceLocation, 'file' | 'startLine' | 'endLine'> | undefined,
  fileOf: (path: string) => string | undefined,
): AnnotationProperties {
  const file = location && fileOf(location.file);
  return location && file !== undefined ? { file, line: location.startLine, endLine: location.endLine } : {};
}

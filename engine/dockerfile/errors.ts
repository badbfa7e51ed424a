import { EngineError } from '../base/errors.ts';
import { excerpt } from './excerpt.ts';

/** A place in a Dockerfile. */
export interface Range {
  readonly startLine: number;
  readonly endLine: number;
}

/** The file that an error is about. */
export interface Source {
  readonly file: string;
  readonly text: string;
}

/** A mistake in a Dockerfile, with the lines around it and the guilty ones marked. */
export class DockerfileError extends EngineError {
  readonly range: Range;

  constructor(
    code: string,
    message: string,
    source: Source,
    range: Range,
    details: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    const location = { file: source.file, ...range, excerpt: excerpt(source.text, range) };
    super(code, message, { ...details, location });
    this.name = 'DockerfileError';
    this.range = range;
  }
}

/**
 * A mistake whose place the caller knows: thrown by the parsers of parts, caught by {@link locate}.
 * `class` is the kind of mistake, for tests and for the linter.
 */
export class SyntaxMistake extends Error {
  readonly kind: MistakeKind;
  readonly hint: string | undefined;

  constructor(kind: MistakeKind, message: string, hint?: string) {
    super(brief(message));
    this.name = 'SyntaxMistake';
    this.kind = kind;
    this.hint = hint === undefined ? undefined : brief(hint);
  }
}

/** A sentence without the length of what stands in the file: the excerpt shows that. */
function brief(sentence: string): string {
  const words = sentence.replace(/\S{200,}/g, (word) => `${word.slice(0, 120)}…`);
  return words.length > 600 ? `${words.slice(0, 600)}…` : words;
}

export type MistakeKind =
  | 'argument-count'
  | 'bad-combination'
  | 'bad-value'
  | 'blank-name'
  | 'duplicate-flag'
  | 'expansion'
  | 'flag-not-boolean'
  | 'flag-without-value'
  | 'heredoc-destination'
  | 'json-required'
  | 'mount-type'
  | 'no-stage'
  | 'onbuild-forbidden'
  | 'stage-name'
  | 'syntax'
  | 'unknown-flag'
  | 'unknown-instruction'
  | 'unknown-key'
  | 'variable-not-allowed';

/**
 * What `act` returns; a {@link SyntaxMistake} in it becomes a {@link DockerfileError} at that place.
 *
 * @throws {@link DockerfileError} with code `DOCKERFILE_INVALID`
 */
export function locate<T>(source: Source, range: Range, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SyntaxMistake)) throw error;
    throw new DockerfileError(
      'DOCKERFILE_INVALID',
      `Cannot read ${where(source, range)}: ${error.message}`,
      source,
      range,
      {
        hint: error.hint,
        cause: error,
      },
    );
  }
}

/** `Dockerfile line 3`. */
export function where(source: Source, range: Range): string {
  return range.startLine === 0 ? source.file : `${source.file} line ${range.startLine}`;
}

import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseGitSource, type BuildContext, type BuildNamedContext } from '../../../engine/index.ts';
import { OperandsError } from '../usage-error.ts';

/** What of the process a context may be read from. */
export interface ContextPlace {
  readonly cwd: string;
  readonly stdin: AsyncIterable<Uint8Array>;
}

/** The context and the Dockerfile that the words of a command line name. */
export interface NamedFiles {
  readonly context: BuildContext;
  readonly file?: string;
  readonly dockerfile?: string;
}

/**
 * Operand and `-f` of `berth build`: a directory, a repository, a URL, or `-` for an archive or a Dockerfile on standard input; the Dockerfile
 * may come from there too.
 *
 * @throws {OperandsError} for what is none
 */
export async function filesOf(operand: string, file: string | undefined, place: ContextPlace): Promise<NamedFiles> {
  if (file === '-') {
    if (operand === '-') {
      throw new OperandsError(
        'Cannot read both the context and the Dockerfile from standard input',
        'give one of them as a path',
      );
    }
    return { context: buildContextOf(operand, place), dockerfile: await textOf(place.stdin) };
  }
  const context = buildContextOf(operand, place);
  if (file === undefined) return { context };
  return { context, file: typeof context === 'string' ? resolve(place.cwd, file) : file };
}

/** A context by its operand. @throws {OperandsError} */
export function buildContextOf(operand: string, { cwd, stdin }: ContextPlace): BuildContext {
  if (operand === '-') return { type: 'archive', content: stdin };
  return (existsSync(resolve(cwd, operand)) ? undefined : remoteOf(operand)) ?? contextOf(operand, cwd);
}

/** A repository or a URL. */
function remoteOf(text: string): BuildContext | undefined {
  try {
    const git = parseGitSource(text);
    if (git) return git;
  } catch (error) {
    throw new OperandsError(
      `Cannot use ${text} as the context: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return /^https?:\/\//.test(text) ? { type: 'http', url: text } : undefined;
}

/** The context directory that an operand names, absolute. @throws {OperandsError} for what is none */
export function contextOf(operand: string, cwd: string): string {
  if (operand === '-' || remoteOf(operand) !== undefined) {
    throw new OperandsError(`Cannot use ${operand} as the context here`, 'give a directory');
  }
  const directory = resolve(cwd, operand);
  if (!existsSync(directory))
    throw new OperandsError(
      `Cannot use ${operand} as the context: path "${directory}" not found`,
      'give the folder of the files that COPY takes: . is the current one',
    );
  if (!statSync(directory).isDirectory())
    throw new OperandsError(
      `Cannot use ${operand} as the context: it is not a directory`,
      `a Dockerfile goes with -f: berth build -f ${operand} ${dirname(operand)}`,
    );
  return directory;
}

/** The Dockerfile that `-f` names, absolute. */
export function fileOf(file: string, cwd: string): string {
  if (file === '-') throw new OperandsError('Cannot use -f - here: standard input is not read', 'give a file');
  return resolve(cwd, file);
}

/**
 * `--build-context NAME=VALUE`: a directory, a repository, a URL of an archive, `docker-image://REFERENCE` or `oci-layout://DIRECTORY[:TAG]`.
 *
 * @throws {OperandsError}
 */
export function parseNamedContext(word: string, cwd: string): readonly [string, BuildNamedContext] {
  const equals = word.indexOf('=');
  const [name, value] = [word.slice(0, Math.max(0, equals)), word.slice(equals + 1)];
  if (name === '' || value === '') throw new OperandsError(`wanted NAME=VALUE, not "${word}"`);
  const image = afterScheme(value, 'docker-image://');
  if (image !== undefined) return [name, { type: 'image', reference: image }];
  const layout = afterScheme(value, 'oci-layout://');
  if (layout !== undefined) return [name, layoutOf(layout, cwd)];
  if (value.startsWith('target:')) {
    throw new OperandsError(
      `"${value}" is for bake files`,
      'name the stage in the Dockerfile: --from takes it as it is',
    );
  }
  return [name, buildContextOf(value, { cwd, stdin: NO_INPUT })];
}

const NO_INPUT: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => {
    throw new OperandsError('Cannot use - for a named context', 'give a directory');
  },
};

function afterScheme(text: string, scheme: string): string | undefined {
  return text.startsWith(scheme) ? text.slice(scheme.length) : undefined;
}

/** `PATH`, `PATH:TAG`, `PATH@DIGEST`. */
function layoutOf(text: string, cwd: string): BuildNamedContext {
  const named = /@(sha256:[0-9a-f]{64})$/.exec(text) ?? /:([^/:]+)$/.exec(text);
  const path = text.slice(0, text.length - (named?.[0].length ?? 0));
  return { type: 'oci-layout', path: resolve(cwd, path), reference: named?.[1] };
}

const MAX_DOCKERFILE = 16 * 1024 * 1024;

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > MAX_DOCKERFILE)
      throw new OperandsError(`The Dockerfile on standard input has more than ${MAX_DOCKERFILE} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

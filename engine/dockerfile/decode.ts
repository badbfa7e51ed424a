import { DockerfileError } from './errors.ts';

/** The largest Dockerfile, in bytes. */
export const MAX_SIZE = 4 * 1024 * 1024;
/** The largest number of instructions: no image has so many steps, and each costs memory. */
export const MAX_INSTRUCTIONS = 50_000;
const MAX_LINE = 65_535;

/**
 * The text of a Dockerfile without its byte order mark.
 *
 * @throws DockerfileError `DOCKERFILE_TOO_LARGE`; `DOCKERFILE_INVALID` for other encodings than UTF-8, NUL bytes and overlong lines
 */
export function decode(input: string | Uint8Array, file: string): string {
  const size = typeof input === 'string' ? Buffer.byteLength(input) : input.length;
  if (size > MAX_SIZE) {
    const message = `Cannot read ${file}: it has ${size} bytes, the limit is ${MAX_SIZE}`;
    throw new DockerfileError('DOCKERFILE_TOO_LARGE', message, { file, text: '' }, { startLine: 0, endLine: 0 });
  }
  const text = (typeof input === 'string' ? input : fromUtf8(input, file)).replace(/^\uFEFF/, '');
  refuseNul(text, file);
  refuseLongLine(text, file);
  return text;
}

function fromUtf8(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const message = `Cannot read ${file}: it is not UTF-8 text`;
    const details = { cause, hint: 'Save the file as UTF-8' };
    throw new DockerfileError('DOCKERFILE_INVALID', message, { file, text: '' }, { startLine: 0, endLine: 0 }, details);
  }
}

function refuseNul(text: string, file: string): void {
  const at = text.indexOf('\0');
  if (at < 0) return;
  const line = text.slice(0, at).split('\n').length;
  const column = at - text.lastIndexOf('\n', at);
  const message = `Cannot read ${file}: a NUL byte stands on line ${line}, column ${column}`;
  const hint = 'Save the file as plain UTF-8 text';
  throw new DockerfileError(
    'DOCKERFILE_INVALID',
    message,
    { file, text },
    { startLine: line, endLine: line },
    { hint },
  );
}

function refuseLongLine(text: string, file: string): void {
  let line = 1;
  for (let start = 0; start < text.length; line += 1) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline + 1;
    if (end - start > MAX_LINE / 4 && Buffer.byteLength(text.slice(start, end)) > MAX_LINE) {
      const message = `Cannot read ${file}: line ${line} is longer than ${MAX_LINE} bytes`;
      throw new DockerfileError('DOCKERFILE_INVALID', message, { file, text }, { startLine: line, endLine: line });
    }
    start = end;
  }
}

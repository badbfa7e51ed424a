import type { BuildContext } from './build-context.ts';
import { encodeForm, encodeMultipart, type FormPart } from './multipart.ts';
import type { Path } from './place.ts';
import type { RawItem, RawPart } from './raw.ts';
import type { HttpRequest } from './spec.ts';

/** The body of a request, with its files read. */
export interface Body extends Pick<HttpRequest, 'body' | 'curlBody' | 'curlForm'> {
  /** Unless the spec gives another. */
  readonly contentType?: string;
}

const KINDS = ['json', 'body', 'form', 'multipart'] as const;

/** `json`, `body`, `form` or `multipart`: one of them, or none. Problems go to the context. */
export async function buildBody(raw: RawItem['request'], at: Path, context: BuildContext): Promise<Body> {
  const [kind, other] = KINDS.filter((name) => raw[name] !== undefined);
  if (kind !== undefined && other !== undefined) {
    const place = context.place([...at, 'request', other]);
    context.problems.push({ message: `a request has one body, not \`${kind}\` and \`${other}\``, place });
  }
  if (raw.json !== undefined) {
    // The payload of a preset stands at its own place, that of a request under it.
    const payloadAt = at[0] === 'payload' ? at : [...at, 'request', 'json'];
    const { bytes, label } = await context.payload(payloadAt, raw.json);
    return { contentType: 'application/json', body: bytes, curlBody: label };
  }
  if (raw.body !== undefined) {
    const body = await readFile(raw.body, [...at, 'request', 'body'], context);
    return { contentType: 'application/octet-stream', body, curlBody: `@${raw.body}` };
  }
  if (raw.form !== undefined) {
    const fields = pairsOf(raw.form).map(([name, value]) => [name, String(value)] as const);
    const body = encodeForm(fields);
    const contentType = 'application/x-www-form-urlencoded';
    return { contentType, body, curlBody: Buffer.from(body).toString('utf8') };
  }
  return raw.multipart === undefined
    ? {}
    : await buildMultipart(raw.multipart, [...at, 'request', 'multipart'], context);
}

async function buildMultipart(
  multipart: NonNullable<RawItem['request']['multipart']>,
  at: Path,
  context: BuildContext,
): Promise<Body> {
  const parts: FormPart[] = [];
  for (const [name, part] of pairsOf(multipart)) parts.push(await buildPart(name, part, [...at, name], context));
  const { contentType, body, curl } = encodeMultipart(parts);
  return { contentType, body, curlForm: curl };
}

async function buildPart(name: string, part: RawPart, at: Path, context: BuildContext): Promise<FormPart> {
  if (typeof part !== 'object') return { name, content: Buffer.from(String(part)) };
  return { name, ...part, content: await readFile(part.file, at, context) };
}

/** A list is a field that is there several times. */
function pairsOf<T>(fields: Readonly<Record<string, T | readonly T[]>>): readonly (readonly [string, T])[] {
  return Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => [name, one as T] as const));
}

async function readFile(file: string, at: Path, context: BuildContext): Promise<Buffer> {
  return await context.attemptAsync(at, () => context.files.read(file), Buffer.alloc(0));
}

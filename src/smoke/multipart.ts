import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';

/** One field of a form. */
export interface FormPart {
  readonly name: string;
  readonly content: Uint8Array;
  /** Set for a file: as the spec names it. */
  readonly file?: string | undefined;
  /** What the server is told of the file's name; default its base name. */
  readonly filename?: string | undefined;
  readonly contentType?: string | undefined;
}

/** A body, and how curl writes it. */
export interface EncodedForm {
  readonly contentType: string;
  readonly body: Uint8Array;
  /** The values of `-F`. */
  readonly curl: readonly string[];
}

const TYPES: Readonly<Record<string, string>> = {
  '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.png': 'image/png', '.gif': 'image/gif', '.webp': 'image/webp',
  '.wav': 'audio/wav', '.mp3': 'audio/mpeg', '.flac': 'audio/flac', '.mp4': 'video/mp4',
  '.json': 'application/json', '.csv': 'text/csv', '.txt': 'text/plain', '.pdf': 'application/pdf',
}; // prettier-ignore

/** `multipart/form-data` (RFC 7578). The boundary follows from the content, so that the same spec sends the same bytes. */
export function encodeMultipart(parts: readonly FormPart[]): EncodedForm {
  const hash = createHash('sha256');
  for (const { name, content } of parts) hash.update(name).update(content);
  const boundary = `berth-${hash.digest('hex').slice(0, 32)}`;
  const pieces = parts.flatMap((part) => [
    Buffer.from(`--${boundary}\r\n${headersOf(part)}\r\n`),
    part.content,
    Buffer.from('\r\n'),
  ]);
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
    curl: parts.map(curlOf),
  };
}

/** `application/x-www-form-urlencoded`. */
export function encodeForm(fields: readonly (readonly [string, string])[]): Uint8Array {
  const query = new URLSearchParams();
  for (const [name, value] of fields) query.append(name, value);
  return Buffer.from(query.toString());
}

function headersOf(part: FormPart): string {
  const type = typeOf(part);
  const file = part.file === undefined ? '' : `; filename="${quoted(filenameOf(part))}"`;
  return `Content-Disposition: form-data; name="${quoted(part.name)}"${file}\r\n${type === undefined ? '' : `Content-Type: ${type}\r\n`}`;
}

function typeOf({ file, filename, contentType }: FormPart): string | undefined {
  if (contentType !== undefined || file === undefined) return contentType;
  return TYPES[extname(filename ?? file).toLowerCase()] ?? 'application/octet-stream';
}

function filenameOf({ file = '', filename }: FormPart): string {
  return filename ?? basename(file);
}

/** As browsers do: a quote or the end of a line cannot end the header. */
function quoted(text: string): string {
  return text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function curlOf(part: FormPart): string {
  if (part.file === undefined) return `${part.name}=${Buffer.from(part.content).toString('utf8')}`;
  const filename = part.filename === undefined ? '' : `;filename=${part.filename}`;
  return `${part.name}=@${part.file};type=${typeOf(part) ?? ''}${filename}`;
}

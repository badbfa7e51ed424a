import type { HttpRequest } from './spec.ts';

/** Header names whose values never appear in a log. */
const SECRET = /^(?:authorization|proxy-authorization|cookie|.*(?:token|secret|password|api-?key).*)$/i;
const INLINE_LIMIT = 4096;

/** The request as a command that can be pasted into a shell; secret headers are masked. */
export function toCurl(request: HttpRequest, base: string): string {
  const parts = ['curl', '-sS', '-i'];
  const { body, curlForm } = request;
  if (request.method === 'HEAD') parts.push('--head');
  else if (request.method !== (body === undefined ? 'GET' : 'POST')) parts.push('-X', request.method);
  parts.push(quote(`${base}${request.path}`));
  for (const [name, value] of Object.entries(request.headers)) {
    // curl writes the boundary itself.
    if (curlForm !== undefined && name === 'content-type') continue;
    parts.push('-H', quote(`${name}: ${SECRET.test(name) ? '***' : value}`));
  }
  for (const field of curlForm ?? []) parts.push('-F', quote(shorten(field)));
  if (request.curlBody !== undefined) parts.push('--data-binary', quote(shorten(request.curlBody)));
  return parts.join(' ');
}

function shorten(body: string): string {
  return body.length <= INLINE_LIMIT ? body : `${body.slice(0, INLINE_LIMIT)}…`;
}

function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

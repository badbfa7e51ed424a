import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../host.ts';
import { Refusal } from './errors.ts';
import type { RegistryServerOptions } from './types.ts';

/** Lets a request in, or throws. */
export type Guard = (request: IncomingMessage) => void;

/**
 * Who may talk to the server. On loopback, a web page that the user happens to look at could too: its requests carry an Origin, or, by DNS
 * rebinding, another Host than loopback.
 */
export function createGuard(host: string, auth: RegistryServerOptions['auth']): Guard {
  const wanted =
    auth === undefined
      ? undefined
      : hash(`Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`);
  const isLocal = isLoopback(host);
  return (request) => {
    if (request.headers.origin !== undefined) throw new Refusal('DENIED', 'requests of web pages are not served');
    if (isLocal && !isLocalName(request.headers.host))
      throw new Refusal('DENIED', 'this server is asked by another name than its own');
    if (wanted === undefined || timingSafeEqual(wanted, hash(request.headers.authorization ?? ''))) return;
    throw new Refusal('UNAUTHORIZED', 'name and password are needed', { 'www-authenticate': 'Basic realm="berth"' });
  };
}

function isLocalName(header: string | undefined): boolean {
  const text = `http://${header ?? ''}/`;
  return URL.canParse(text) && isLoopback(new URL(text).hostname);
}

/** Of equal length whatever was sent, for the comparison. */
function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

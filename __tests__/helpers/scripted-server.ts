import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

/** One request as the server saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** Answers a request; what it leaves unanswered is a 404. */
export type Script = (request: SeenRequest, response: ServerResponse) => void | Promise<void>;

/** A server that does what a test tells it, and remembers what it was asked. */
export interface ScriptedServer {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  readonly seen: SeenRequest[];
  /** `METHOD url` of each request. */
  lines(): string[];
  close(): Promise<void>;
}

export async function startScriptedServer(script: Script, tls?: ServerOptions): Promise<ScriptedServer> {
  const seen: SeenRequest[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse): void => void handle(request, response);
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      return; // The client hung up.
    }
    const { method = '', url = '', headers } = request;
    const entry = { method, url, authorization: headers.authorization, headers, body: Buffer.concat(chunks) };
    seen.push(entry);
    await script(entry, response);
    if (!response.headersSent && !response.destroyed) response.writeHead(404).end();
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    lines: () => seen.map(({ method, url }) => `${method} ${url}`),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A JSON answer. */
export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

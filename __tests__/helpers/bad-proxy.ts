import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What a proxy may do to who asks it for a tunnel, and how an error says it. */
export const BAD_PROXIES: readonly (readonly [string, (socket: Socket) => void, string])[] = [
  ['hangs up', (socket) => socket.destroy(), 'gave no connection (UND_ERR_SOCKET)'],
  ['keeps silent', () => undefined, 'gave no connection (UND_ERR_HEADERS_TIMEOUT)'],
  ['wants a password', (socket) => void socket.end('HTTP/1.1 407 No\r\n\r\n'), 'answered 407'],
];

/** A proxy on loopback that does `behave` with every tunnel. `host` is `127.0.0.1:PORT`. */
export async function startBadProxy(
  behave: (socket: Socket) => void,
): Promise<{ readonly host: string; readonly close: () => void }> {
  const proxy = createServer();
  proxy.on('connect', (_request, socket: Socket) => {
    socket.on('error', () => undefined);
    behave(socket);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return {
    host,
    close: () => {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}

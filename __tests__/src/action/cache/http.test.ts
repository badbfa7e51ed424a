import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createCacheHttp } from '../../../../src/action/cache/http.ts';

test.each<[string, (socket: Socket) => void, string]>([
  ['hangs up', (socket) => socket.destroy(), 'gave no connection (UND_ERR_SOCKET)'],
  ['keeps silent', () => undefined, 'gave no connection (UND_ERR_HEADERS_TIMEOUT)'],
  ['wants a password', (socket) => void socket.end('HTTP/1.1 407 No\r\n\r\n'), 'answered 407'],
])('a proxy that %s is an error that names it', async (_, behave, said) => {
  const proxy = createServer();
  proxy.on('connect', (_request, socket: Socket) => {
    socket.on('error', () => undefined);
    behave(socket);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const http = createCacheHttp({ httpsProxy: host }, { idle: 100, grace: 100, minimumRate: 1 });
  try {
    const asked = http.call(new URL('https://cache.test/'), { headers: {}, limit: 100 });
    await expect(asked).rejects.toThrow(`the proxy ${host} ${said}`);
  } finally {
    await http.close();
    proxy.closeAllConnections();
    proxy.close();
  }
});

test('a proxy for http alone is not asked for https', async () => {
  let asked = 0;
  const proxy = createServer().on('connect', (_request, socket: Socket) => void ((asked += 1), socket.destroy()));
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const http = createCacheHttp({ httpProxy: host });
  try {
    // The port of the proxy speaks no TLS: there is no answer either way.
    await expect(http.call(new URL(`https://${host}/`), { headers: {}, limit: 100 })).rejects.toThrow();
    expect(asked).toBe(0);
    await expect(http.call(new URL('http://cache.test/'), { headers: {}, limit: 100 })).rejects.toThrow(host);
  } finally {
    await http.close();
    proxy.closeAllConnections();
    proxy.close();
  }
});

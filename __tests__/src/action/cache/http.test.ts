import { expect, test } from '@jest/globals';
import { createCacheHttp } from '../../../../src/action/cache/http.ts';
import { BAD_PROXIES, startBadProxy } from '../../../helpers/bad-proxy.ts';

test.each(BAD_PROXIES)('a proxy that %s is an error that names it', async (_, behave, said) => {
  const proxy = await startBadProxy(behave);
  const http = createCacheHttp({ httpsProxy: proxy.host }, { idle: 100, grace: 100, minimumRate: 1 });
  try {
    const asked = http.call(new URL('https://cache.test/'), { headers: {}, limit: 100 });
    await expect(asked).rejects.toThrow(`the proxy ${proxy.host} ${said}`);
  } finally {
    await http.close();
    proxy.close();
  }
});

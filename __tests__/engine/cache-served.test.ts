import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openTestEngine } from '../helpers/engine.ts';

test('layers that a repository does not tell of in time are not there, and only a cancelled job ends the look-up', async () => {
  const digest = `sha256:${'a'.repeat(64)}` as const;
  const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 3 };
  const registry = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(registry, 'listening');
  const name = `127.0.0.1:${(registry.address() as AddressInfo).port}/a/b`;
  const it = await openTestEngine();
  try {
    const layers = [{ diffId: digest, blob }];
    expect(await it.engine.cache.served(layers, name, { time: 50 })).toBe(0);
    const cancelled = AbortSignal.abort(new Error('cancelled'));
    await expect(it.engine.cache.served(layers, name, { signal: cancelled })).rejects.toThrow('cancelled');
  } finally {
    registry.closeAllConnections();
    registry.close();
    await it.close();
  }
});

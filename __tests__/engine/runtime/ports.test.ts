import { describe, expect, test } from '@jest/globals';
import { publishedPorts } from '../../../engine/runtime/ports.ts';

const image = 'any';

describe('the ports that an image exposes', () => {
  test('are published on free ones, but for those asked for by number', () => {
    const asked = { hostAddress: '127.0.0.1', hostPort: 8000, containerPort: 80, protocol: 'tcp' } as const;
    const config = { ExposedPorts: { '80/tcp': {}, '53/udp': {} } };
    expect(publishedPorts({ image, publishAll: true, ports: [asked] }, config)).toEqual([
      asked,
      { hostAddress: '', hostPort: 0, containerPort: 53, protocol: 'udp' },
    ]);
  });

  test.each(['99999/tcp', '0', '65536'])('are refused by name out of range: %s', (port) => {
    expect(() => publishedPorts({ image, publishAll: true }, { ExposedPorts: { [port]: {} } })).toThrow(
      expect.objectContaining({
        code: 'PORT_INVALID',
        message: `Cannot publish port ${port} of the image: ports go from 1 to 65535`,
      }),
    );
  });

  test('do no harm out of range when nobody publishes them', () => {
    expect(publishedPorts({ image }, { ExposedPorts: { '99999/tcp': {} } })).toEqual([]);
  });
});

import { describe, expect, test } from '@jest/globals';
import { mountOrigin, originOf } from '../../../engine/runtime/volume-options.ts';

describe('options of a volume', () => {
  test.each([
    [{}, undefined],
    [
      { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=1000' },
      { type: 'tmpfs', device: 'tmpfs', options: ['size=1m', 'uid=1000'] },
    ],
    [
      { type: 'none', device: '/srv/data', o: 'bind,ro' },
      { type: 'bind', device: '/srv/data', options: ['bind', 'ro'] },
    ],
    [
      { device: '/srv/data', o: 'rbind' },
      { type: 'bind', device: '/srv/data', options: ['rbind'] },
    ],
  ])('%j', (options, origin) => {
    expect(originOf('v', options)).toEqual(origin);
  });

  test.each([
    [{ foo: 'bar' }, 'invalid option: "foo"'],
    [{ o: 'bind' }, 'missing required option: "device"'],
    [{ device: '/srv' }, 'missing required option: "type"'],
    [{ type: 'none', o: 'bind', device: 'srv' }, 'device srv is no absolute path'],
    [{ type: 'nfs', o: 'addr=10.0.0.1', device: ':/x' }, 'a volume of type nfs is not done'],
    [{ size: '1m' }, 'quota size requested but no quota support'],
  ])('%j is refused by the name of what is wrong', (options, reason) => {
    expect(() => originOf('v', options)).toThrow(`Cannot create volume v: create v: ${reason}`);
  });

  test('become the mount, read-only where the container asks for it', async () => {
    const place = { name: 'v', target: '/t', readonly: true };
    expect(await mountOrigin({ type: 'tmpfs', device: 'tmpfs', options: ['size=1m'] }, place)).toEqual({
      destination: '/t',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['size=1m', 'ro'],
    });
    const bind = await mountOrigin({ type: 'bind', device: '/etc', options: ['bind'] }, place);
    expect(bind).toEqual({ destination: '/t', type: 'bind', source: '/etc', options: ['bind', 'rprivate', 'ro'] });
    const gone = mountOrigin({ type: 'bind', device: '/no/such/folder', options: ['bind'] }, place);
    await expect(gone).rejects.toMatchObject({ code: 'MOUNT_SOURCE_MISSING' });
  });

  test('what cannot be looked at is no folder that is missing', async () => {
    const origin = { type: 'bind', device: '/dev/null/below', options: ['bind'] } as const;
    expect(await mountOrigin(origin, { name: 'v', target: '/t' })).toMatchObject({ source: '/dev/null/below' });
  });
});

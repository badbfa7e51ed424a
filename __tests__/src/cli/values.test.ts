import { describe, expect, test } from '@jest/globals';
import { parseEnv, parseEnvFile } from '../../../src/cli/values/environment.ts';
import { parseExtraHost } from '../../../src/cli/values/host.ts';
import { parseLabel } from '../../../src/cli/values/label.ts';
import { parseMount } from '../../../src/cli/values/mount.ts';
import { parsePorts } from '../../../src/cli/values/ports.ts';
import { parseSize } from '../../../src/cli/values/size.ts';
import { parseDuration, parseMoment } from '../../../src/cli/values/time.ts';
import { parseUlimit } from '../../../src/cli/values/ulimit.ts';
import { parseTmpfs, parseVolume } from '../../../src/cli/values/volume.ts';
import { describeVectors, readVectors } from '../../helpers/vectors.ts';

interface Case<R> {
  readonly input: string;
  readonly result?: R;
  readonly error?: string;
}
const good = <R>(cases: readonly Case<R>[]): readonly [string, R][] =>
  cases.flatMap(({ input, result }) => (result === undefined ? [] : [[input, result] as [string, R]]));
const bad = (cases: readonly Case<unknown>[]): readonly string[] =>
  cases.flatMap(({ input, error }) => (error === undefined ? [] : [input]));

describe('parsePorts', () => {
  const one = (hostAddress: string, hostPort: number, containerPort: number, protocol = 'tcp') => [
    { hostAddress, hostPort, containerPort, protocol },
  ];
  test.each([
    ['8000', one('', 0, 8000)],
    ['80:8000', one('', 80, 8000)],
    ['127.0.0.1:80:8000/udp', one('127.0.0.1', 80, 8000, 'udp')],
    ['127.0.0.1::8000', one('127.0.0.1', 0, 8000)],
    ['[::1]:80:8000', one('::1', 80, 8000)],
    ['::1:80:8000', one('::1', 80, 8000)],
    ['0:8000', one('', 0, 8000)],
  ])('reads %s', (text, ports) => expect(parsePorts(text)).toEqual(ports));

  test.each([
    '1.2.3:80:80',
    'host:80:80',
    '80:80:80:80',
    '80:',
    '80/tcp/udp',
    '70000',
    '0',
    '-80',
    '80-70:80-70',
    '80/sctp',
  ])('refuses %s', (text) => expect(() => parsePorts(text)).toThrow());
});

describe('parseVolume', () => {
  test.each([
    ['/a:/b', { type: 'bind', source: '/a', target: '/b', readonly: false, createSource: true }],
    ['/a:/b:ro', { type: 'bind', source: '/a', target: '/b', readonly: true, createSource: true }],
    ['./a:/b', { type: 'bind', source: '/srv/a', target: '/b', readonly: false, createSource: true }],
    [
      '/a:/b:rslave,z',
      { type: 'bind', source: '/a', target: '/b', readonly: false, createSource: true, propagation: 'rslave' },
    ],
    ['/b', { type: 'volume', target: '/b' }],
    ['models:/b:ro,nocopy', { type: 'volume', source: 'models', target: '/b', readonly: true, nocopy: true }],
    ['models:/b', { type: 'volume', source: 'models', target: '/b', readonly: false }],
  ])('reads %s', (text, mount) => expect(parseVolume(text, '/srv')).toEqual(mount));

  test.each(['', ':', '/a:', ':/a', '/a:b', '/a:/b:rx', '/a:/b:ro:x', 'a/b:/c', '/a:/b:rshared', '/a:/b:nocopy'])(
    'refuses "%s"',
    (text) => expect(() => parseVolume(text, '/srv')).toThrow(),
  );
});

test('parseTmpfs reads size and mode, and refuses what is not done', () => {
  expect(parseTmpfs('/t:size=1m,mode=700,ro')).toEqual({
    type: 'tmpfs',
    target: '/t',
    size: 1048576,
    mode: 0o700,
    readonly: true,
  });
  expect(parseTmpfs('/t:exec,uid=7,nr_inodes=1k')).toMatchObject({ tmpfs: ['exec', 'uid=7', 'nr_inodes=1k'] });
  expect(() => parseTmpfs('/t:bogus')).toThrow(/invalid tmpfs option "bogus"/);
});

test('parseMoment takes durations, seconds and dates', () => {
  expect(parseDuration('1h30m')).toBe(5_400_000);
  expect(parseMoment('10s', 60_000)).toBe(50_000);
  expect(parseMoment('2026-01-31T10:00:00Z', 0)).toBe(Date.UTC(2026, 0, 31, 10));
  expect(parseMoment('1700000000', 0)).toBe(1_700_000_000_000);
  expect(() => parseMoment('yesterday', 0)).toThrow(/invalid time/);
});

describeVectors('cli-opts', () => {
  describe('ulimits', () => {
    const { cases, more } = readVectors<Record<'cases' | 'more', readonly Case<Record<string, unknown>>[]>>(
      'cli-opts',
      'ulimits.json',
    );
    const all = [...cases, ...more];
    test.each(good(all))('reads %s', (input, { Name, Soft, Hard }) =>
      expect(parseUlimit(input)).toEqual({ name: Name, soft: Soft, hard: Hard }),
    );
    test.each(bad(all))('refuses "%s"', (input) => expect(() => parseUlimit(input)).toThrow());
  });

  describe('published ports', () => {
    type Port = { readonly Protocol: string; readonly TargetPort: number; readonly PublishedPort?: number };
    const { specs } = readVectors<{ readonly specs: readonly Case<readonly Port[]>[] }>('cli-opts', 'ports.json');
    // `run` takes addresses and a range for one port, which this table's command does not.
    const notOurs = ['1.1.1.1:80:80', '80-82:8080/udp'];
    test.each(good(specs).filter(([input]) => !notOurs.includes(input)))('reads %s', (input, ports) =>
      expect(parsePorts(input)).toEqual(
        ports.map(({ Protocol, TargetPort, PublishedPort = 0 }) => ({
          hostAddress: '',
          hostPort: PublishedPort,
          containerPort: TargetPort,
          protocol: Protocol,
        })),
      ),
    );
    test.each(bad(specs).filter((input) => !notOurs.includes(input)))('refuses "%s"', (input) =>
      expect(() => parsePorts(input)).toThrow(),
    );
    test('takes any free one of a range of host ports for one container port', () => {
      const port = { hostAddress: '', hostPort: 80, hostPortLast: 82, containerPort: 8080, protocol: 'udp' };
      expect(parsePorts('80-82:8080/udp')).toEqual([port]);
    });
  });

  describe('mounts', () => {
    type Mount = Readonly<Record<string, unknown>> & {
      readonly Type: string;
      readonly Source?: string;
      readonly Target?: string;
      readonly ReadOnly?: boolean;
      readonly TmpfsOptions?: { readonly SizeBytes?: number; readonly Mode?: number };
      readonly BindOptions?: {
        readonly CreateMountpoint?: boolean;
        readonly NonRecursive?: boolean;
        readonly ReadOnlyNonRecursive?: boolean;
        readonly ReadOnlyForceRecursive?: boolean;
        readonly Propagation?: string;
      };
      readonly VolumeOptions?: {
        readonly NoCopy?: boolean;
        readonly Labels?: Readonly<Record<string, string>>;
        readonly Subpath?: string;
        readonly DriverConfig?: unknown;
      };
    };
    const { cwd, cases, more } = readVectors<{
      readonly cwd: string;
      readonly cases: readonly Case<Mount>[];
      readonly more: readonly Case<Mount>[];
    }>('cli-opts', 'mounts.json');
    const all = [...cases, ...more];
    /** Only the daemon of Docker would say so (a label without a name, too), or an option that is not done: each is refused here. */
    const refused = (input: string, { Type, Source, Target, VolumeOptions = {}, BindOptions = {} }: Mount): boolean => {
      const done = ['bind', 'volume', 'tmpfs'].includes(Type) && Target?.startsWith('/');
      const sources = Type === 'bind' ? Source?.startsWith('/') : Type === 'tmpfs' ? Source === undefined : true;
      const driver =
        'DriverConfig' in VolumeOptions ||
        VolumeOptions.Subpath !== undefined ||
        /volume-opt|volume-label==/.test(input);
      return !done || !sources || driver || /^(rshared|bogus)$/.test(BindOptions.Propagation ?? '');
    };
    const recursiveOf = ({ BindOptions = {} }: Mount): string | undefined => {
      if (BindOptions.NonRecursive) return 'disabled';
      if (BindOptions.ReadOnlyForceRecursive) return 'readonly';
      return BindOptions.ReadOnlyNonRecursive ? 'writable' : undefined;
    };
    test.each(good(all).filter(([input, mount]) => !refused(input, mount)))('reads %s', (input, mount) => {
      // Go keeps 10 bits of a mode in the table: its sticky bit is another one.
      const wantedMode = mount.TmpfsOptions?.Mode === 1023 ? 0o1777 : mount.TmpfsOptions?.Mode;
      const wanted = {
        type: mount.Type,
        source: mount.Source,
        target: mount.Target,
        readonly: mount.ReadOnly,
        size: mount.TmpfsOptions?.SizeBytes,
        mode: wantedMode,
        createSource: mount.BindOptions?.CreateMountpoint,
        recursive: recursiveOf(mount),
        propagation: mount.BindOptions?.Propagation,
        nocopy: mount.VolumeOptions?.NoCopy,
        labels: mount.VolumeOptions?.Labels,
      };
      const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
      expect(parseMount(input, cwd)).toEqual(Object.fromEntries(given));
    });
    test.each(good(all).filter(([input, mount]) => refused(input, mount)))('refuses what is not done: %s', (input) =>
      expect(() => parseMount(input, cwd)).toThrow(),
    );
    test.each(bad(all))('refuses "%s"', (input) => expect(() => parseMount(input, cwd)).toThrow());
  });

  describe('env files', () => {
    interface EnvCase {
      readonly name: string;
      readonly file?: string;
      readonly file_base64?: string;
      readonly host_env?: Readonly<Record<string, string>>;
      readonly result?: readonly string[];
    }
    const { cases, encodings } = readVectors<Record<'cases' | 'encodings', readonly EnvCase[]>>(
      'cli-opts',
      'env-files.json',
    );
    const content = ({ file, file_base64 }: EnvCase): Uint8Array =>
      file_base64
        ? Buffer.from(file_base64, 'base64')
        : Buffer.from((file ?? '').replace('{fill}', 'a'.repeat(65_578)));
    test.each([...cases, ...encodings].map((row) => [row.name, row] as const))('%s', (_name, row) => {
      const parse = (): readonly string[] => parseEnvFile(content(row), 'x.env', (name) => row.host_env?.[name]);
      if (row.result) expect(parse()).toEqual(row.result);
      else expect(parse).toThrow(/x\.env/);
    });
  });

  describe('single values', () => {
    const values = readVectors<
      Record<'env' | 'extra_hosts' | 'labels', readonly Case<string>[]> & { readonly bytes: readonly Case<number>[] }
    >('cli-opts', 'values.json');
    test.each(good(values.env))('env: reads "%s"', (input, result) =>
      expect(parseEnv(input, () => undefined)).toBe(result),
    );
    test.each(bad(values.env))('env: refuses "%s"', (input) =>
      expect(() => parseEnv(input, () => undefined)).toThrow(),
    );
    const hosts = good(values.extra_hosts);
    test.each(hosts)('host: reads "%s"', (input, result) => {
      const { name, address } = parseExtraHost(input);
      expect(`${name}:${address}`).toBe(result);
    });
    test.each(bad(values.extra_hosts))('host: refuses "%s"', (input) => expect(() => parseExtraHost(input)).toThrow());
    test.each(good(values.labels))('label: reads "%s"', (input, result) => {
      const [name, value] = parseLabel(input);
      expect([`${name}=${value}`, name]).toContain(result);
    });
    test.each(bad(values.labels))('label: refuses "%s"', (input) => expect(() => parseLabel(input)).toThrow());
    test.each(good(values.bytes))('size: reads "%s"', (input, result) => expect(parseSize(input)).toBe(result));
    test.each(bad(values.bytes))('size: refuses "%s"', (input) => expect(() => parseSize(input)).toThrow());
  });
});

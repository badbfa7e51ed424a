import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NetworkJoin, RunSpec } from '../../../engine/engine.ts';
import { containerConfigOf, hostConfigOf } from '../../../engine/runtime/inspect-config.ts';
import { mergeConfig } from '../../../engine/runtime/merge-config.ts';
import { CONTAINER_FLAGS, REFUSED_RUN_FLAGS, toRunSpec } from '../../../src/cli/commands/run-flags.ts';
import type { Values } from '../../../src/cli/flags.ts';
import { parseWords } from '../../../src/cli/normalize.ts';
import { describeVectors, readVectors } from '../../helpers/vectors.ts';

type Fields = Readonly<Record<string, unknown>>;
interface Row {
  readonly args: readonly string[];
  readonly host_env?: Readonly<Record<string, string>>;
  readonly result?: Readonly<Record<'Config' | 'HostConfig' | 'NetworkingConfig', Fields | undefined>>;
  readonly error?: string;
}
interface Table {
  readonly cwd: string;
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly image_and_command: readonly string[];
  readonly cases: readonly Row[];
}

/** Flags of the tables that are not done: each row that has one is refused by its name. */
const NOT_DONE = ['-a', '--storage-opt'];

/** What Docker's command line passes on and its daemon refuses, or what has no meaning here: refused at once, with the words that say why. */
const REFUSED_HERE: Readonly<Record<string, RegExp>> = {
  '--expose=8080/ncp': /invalid proto: ncp/,
  '--restart=anything:123': /unknown policy 'anything'/,
  '--restart=negative:-123': /unknown policy 'negative'/,
  '--isolation x': /Cannot use --isolation x: invalid isolation/,
  '--runtime r': /unknown or invalid runtime name: r/,
  '--log-driver=syslog --log-opt=something': /Cannot use log driver syslog|wanted name=value/,
  '--device=relative:/absolute-path': /relative is not an absolute path/,
  '--device=hostPath:/containerPath:r': /hostPath is not an absolute path/,
  '-p 80/sctp': /Cannot publish an sctp port: not supported yet/,
  '-p 0': /invalid containerPort: 0/,
  '-v /a:/b:bogus': /"bogus" is unknown/,
  '-v /a:b': /path in the container must be absolute: b/,
  '-v a': /path in the container must be absolute: a/,
  '-v /a:/b:ro,rshared': /never shown to the host/,
  '-v a:/b:/c': /"\/c" is unknown/,
  '-v ~/a:/b': /invalid characters for a local volume name/,
  '-v C:\\a:/b': /path in the container must be absolute/,
  '-v /b:ro': /path in the container must be absolute: ro/,
  '-v rel/path:/x': /invalid characters for a local volume name/,
  '--tmpfs t': /path in the container must be absolute: t/,
  '--tmpfs ': /path in the container must be absolute/,
};

/** Rows of which another field is right here than the one that Docker's command line sends. */
const OTHERWISE: Readonly<Record<string, Partial<Record<'Config' | 'HostConfig', Fields>>>> = {
  // Order is kept as typed; `rw`, the labels of SELinux and a consistency change nothing and are not kept.
  '-v /hostTmp:/containerTmp -v /hostVar:/containerVar': {
    HostConfig: { Binds: ['/hostTmp:/containerTmp', '/hostVar:/containerVar'] },
  },
  '-v /hostTmp:/containerTmp:ro -v /hostVar:/containerVar:rw': {
    HostConfig: { Binds: ['/hostTmp:/containerTmp:ro', '/hostVar:/containerVar'] },
  },
  '-v /hostTmp:/containerTmp:ro,Z -v /hostVar:/containerVar:rw,Z': {
    HostConfig: { Binds: ['/hostTmp:/containerTmp:ro', '/hostVar:/containerVar'] },
  },
  '-v /hostTmp:/containerTmp:Z -v /hostVar:/containerVar:z': {
    HostConfig: { Binds: ['/hostTmp:/containerTmp', '/hostVar:/containerVar'] },
  },
  '-v /a:/b:delegated': { HostConfig: { Binds: ['/a:/b'] } },
  // A drive of Windows there, a volume here.
  '-v a:/b': { Config: { Volumes: null }, HostConfig: { Binds: ['a:/b'] } },
  // What was asked for with --mount is shown in the short form.
  '--mount type=bind,source=/a,target=/b,ro': { HostConfig: { Binds: ['/a:/b:ro'] } },
  '--mount type=tmpfs,target=/t --tmpfs /u': { HostConfig: { Tmpfs: { '/t': '', '/u': '' } } },
  '-v /a:/b --mount type=volume,source=v,target=/c': { HostConfig: { Binds: ['/a:/b', 'v:/c'] } },
  // Values as they are used: in bytes, one of a name, without what is the rule.
  '--tmpfs /t:size=64m': { HostConfig: { Tmpfs: { '/t': 'size=67108864' } } },
  '--tmpfs /t:rw,noexec,mode=1777': { HostConfig: { Tmpfs: { '/t': 'noexec,mode=1777' } } },
  '--log-opt max-size=1m': { HostConfig: { LogConfig: { Type: 'json-file', Config: { 'max-size': '1048576' } } } },
  '-e B': { Config: { Env: [] } },
  '--env-file=host.env -e A=over': { Config: { Env: ['FROM_HOST=x', 'A=over', 'E='] } },
  '--entrypoint ': { Config: { Entrypoint: [] } },
  // Neither AppArmor nor SELinux confines a container here.
  '--security-opt systempaths=unconfined': { HostConfig: { MaskedPaths: [], ReadonlyPaths: [], SecurityOpt: null } },
  '--security-opt apparmor=unconfined': { HostConfig: { SecurityOpt: null } },
  '--security-opt apparmor:unconfined': { HostConfig: { SecurityOpt: null } },
  '--security-opt label=disable': { HostConfig: { SecurityOpt: null } },
  // No container of the root rung has a user namespace; the file is the command line's.
  '--userns=host': { HostConfig: {} },
  '--cidfile f': { HostConfig: {} },
};

describeVectors('cli-opts', () => {
  test('each exclusion is a row of a table', () => {
    const lines = ['run.json', 'run-more.json'].flatMap((file) =>
      readVectors<Table>('cli-opts', file).cases.map(({ args }) => args.join(' ')),
    );
    const words = new Set(lines.flatMap((line) => line.split(' ')));
    expect([...Object.keys(REFUSED_HERE), ...Object.keys(OTHERWISE)].filter((line) => !lines.includes(line))).toEqual(
      [],
    );
    expect(NOT_DONE.filter((flag) => !words.has(flag))).toEqual([]);
  });

  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-vectors-'));
    for (const { path, content } of readVectors<Table>('cli-opts', 'run.json').files) {
      writeFileSync(join(folder, path), content);
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe.each(['run.json', 'run-more.json'])('%s', (file) => {
    const table = readVectors<Table>('cli-opts', file);
    const named = table.cases.map((row) => [row.args.join(' '), row] as const);
    const notDone = (row: Row): boolean => row.args.some((word) => NOT_DONE.includes(word));
    const done = named.filter(([, row]) => !notDone(row));
    const good = done.filter(([line, { result }]) => result !== undefined && REFUSED_HERE[line] === undefined);

    test.each(good)('reads "%s"', (line, row) => {
      const { networks, ...shown } = read(row, { ...table, folder });
      const wanted = { ...row.result, ...OTHERWISE[line] };
      for (const part of ['Config', 'HostConfig'] as const) {
        for (const [name, value] of Object.entries(wanted[part] ?? {})) {
          expect({ [name]: shown[part][name] }).toEqual({ [name]: filled(name, value) });
        }
      }
      const endpoints = row.result?.NetworkingConfig?.['EndpointsConfig'];
      if (endpoints !== undefined) expect(networks).toEqual(withoutEmpty(endpoints));
    });

    test.each(done.filter(([, { error }]) => error !== undefined))('refuses "%s"', (_, row) =>
      expect(() => read(row, { ...table, folder })).toThrow(),
    );

    const here = done.filter(([line]) => REFUSED_HERE[line] !== undefined);
    if (here.length > 0) {
      test.each(here)('refuses "%s" at once', (line, row) =>
        expect(() => read(row, { ...table, folder })).toThrow(REFUSED_HERE[line]),
      );
    }

    test.each(named.filter(([, row]) => notDone(row)))('refuses the flag of "%s" by its name', (_, row) =>
      expect(() => read(row, { ...table, folder })).toThrow(
        /^Cannot use --?[a-z0-9-]+: not supported yet|^unknown shorthand/,
      ),
    );
  });
});

/** What the daemon of Docker makes of a value that its command line leaves open. */
function filled(name: string, value: unknown): unknown {
  if (name === 'RestartPolicy') {
    // Type: the rows have an object there.
    const { Name = '', MaximumRetryCount = 0 } = value as {
      readonly Name?: string;
      readonly MaximumRetryCount?: number;
    };
    return { Name: Name || 'no', MaximumRetryCount };
  }
  if (name === 'CapAdd' || name === 'CapDrop') {
    // Type: the rows have names there.
    return (value as readonly string[]).map((word) => (word === 'all' ? 'ALL' : `CAP_${word.toUpperCase()}`));
  }
  // A health check without a command is the image's, which has none here.
  return name === 'Healthcheck' ? { Test: [], ...(value as Fields) } : value;
}

/** Endpoints that say more than their network's name. */
function withoutEmpty(endpoints: unknown): Fields {
  const given = Object.entries(endpoints as Readonly<Record<string, Fields>>);
  return given.length > 1
    ? Object.fromEntries(given)
    : Object.fromEntries(given.filter(([, value]) => Object.keys(value).length > 0));
}

/** What `berth inspect` would show of a container of these arguments, and what is asked of its networks. */
function read(
  { args, host_env: env = {} }: Row,
  { cwd, folder, image_and_command: rest }: Table & { readonly folder: string },
): Record<'Config' | 'HostConfig' | 'networks', Fields> {
  const words = args.map((word) => word.replace(/^(--(?:env|label)-file=)/, `$1${folder}/`));
  const { given, operands } = parseWords([...words, ...rest], {
    flags: CONTAINER_FLAGS,
    refused: REFUSED_RUN_FLAGS,
    passThrough: true,
    command: 'run',
  });
  const context = { cwd, lookup: (name: string) => env[name] };
  const entries = Object.entries(CONTAINER_FLAGS).map(([key, flag]) => [
    key,
    flag.parse(given.get(flag.long) ?? [], context),
  ]);
  const [image = '', ...command] = operands;
  // Type: each key has the value that its own flag's parser gave.
  const values = Object.fromEntries(entries) as Values<typeof CONTAINER_FLAGS>;
  const spec: RunSpec = {
    ...toRunSpec(values, image, command),
    ...(values.tty ? { tty: { rows: 24, columns: 80 } } : {}),
  };
  const record = {
    v: 1 as const,
    name: 'x',
    image,
    imageId: `sha256:${'0'.repeat(64)}` as const,
    rootfs: { lowers: [], upper: '' },
    args: command,
    hostname: spec.hostname ?? '',
    config: mergeConfig({}, spec),
    spec,
    stopSignal: spec.stopSignal ?? '',
  };
  // Their full names are those of containers that there are.
  const links = (spec.links ?? []).map(({ container, alias }) => `${container}:${alias}`);
  const HostConfig = { ...hostConfigOf(spec), Links: links };
  return { Config: containerConfigOf({ record }), HostConfig, networks: endpointsOf(spec) };
}

function endpointsOf(spec: RunSpec): Fields {
  const { network = 'default', moreNetworks = [], joins = {} } = spec;
  const first = {
    address: spec.ip,
    address6: spec.ip6,
    mac: spec.macAddress,
    aliases: spec.networkAliases,
    linkLocal: spec.linkLocalIps,
    links: network === 'default' || network === 'bridge' ? [] : spec.links,
    ...joins[network],
  };
  const others = moreNetworks.map((name) => [name, endpointOf(joins[name] ?? {})]);
  return withoutEmpty({ [network]: endpointOf(first), ...Object.fromEntries(others) });
}

function endpointOf(join: NetworkJoin): Fields {
  const { address, address6, linkLocal, aliases, mac, links, driverOptions } = join;
  const given = (fields: Fields): Fields =>
    Object.fromEntries(
      Object.entries(fields).filter(([, value]) => value !== undefined && Object.keys(value as object).length > 0),
    );
  return given({
    Aliases: aliases,
    DriverOpts: driverOptions,
    IPAMConfig: given({ IPv4Address: address, IPv6Address: address6, LinkLocalIPs: linkLocal }),
    Links: links?.map(({ container, alias }) => `${container}:${alias}`),
    MacAddress: mac,
  });
}

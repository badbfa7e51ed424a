import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Berth, createBerth, NO_CONTAINERS, type Outcome } from '../../helpers/berth.ts';
import { connectSpaces, createSpace, NO_SPACES, type Space, spaceOf } from '../../helpers/spaces.ts';

const BUSYBOX = '/bin/busybox';
const HAS_IPV6 = existsSync('/proc/net/if_inet6');
const reason =
  NO_CONTAINERS ?? NO_SPACES ?? (existsSync(BUSYBOX) ? undefined : `no ${BUSYBOX}: install busybox-static`);

/** Answers every question for an address with 192.0.2.77, and says what was asked. */
const RESOLVER = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (asked, from) => {
  const isAddress = asked[asked.length - 3] === 1;
  const head = Buffer.from([asked[0], asked[1], 0x81, 0x80, 0, 1, 0, isAddress ? 1 : 0, 0, 0, 0, 0]);
  const record = isAddress ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 77] : [];
  socket.send(Buffer.concat([head, asked.subarray(12), Buffer.from(record)]), from.port, from.address);
});
socket.bind(53, '192.0.2.2', () => console.log('ready'));`;
/** Sends back what comes by udp. */
const ECHO = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (text, from) => socket.send(text, from.port, from.address));
socket.bind(53, () => console.log('ready'));`;
/** Prints what comes back. */
const ASK = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (text) => { console.log(String(text)); process.exit(); });
socket.send('ping', Number(process.argv[1]), '127.0.0.1');`;

// The machine's own network is never touched: one namespace stands for it, another for the rest of the world.
(reason === undefined ? describe : describe.skip)(`networks${reason === undefined ? '' : `: ${reason}`}`, () => {
  let store: Berth;
  let host: Space;
  let world: Space;
  const berth = (...args: readonly string[]): Promise<Outcome> => store.berth(args, { through: host.through });
  const inside = (network: string, script: string): Promise<Outcome> =>
    berth('run', '--rm', '--network', network, '--dns', '192.0.2.2', 'box', 'sh', '-c', script);

  beforeAll(async () => {
    [store, host, world] = await Promise.all([createBerth(), createSpace(), createSpace()]);
    connectSpaces([host, '192.0.2.1/24'], [world, '192.0.2.2/24']);
    // As on a machine on which Docker runs.
    host.sh('ip route add default via 192.0.2.2; iptables -P FORWARD DROP; iptables -N DOCKER-USER');
    host.sh('iptables -A FORWARD -j DOCKER-USER');
    if (HAS_IPV6) {
      host.sh('ip addr add 2001:db8::1/64 dev cable0 nodad; ip route add default via 2001:db8::2');
      world.sh('ip addr add 2001:db8::2/64 dev cable1 nodad');
      host.sh('ip6tables -P FORWARD DROP; iptables -t nat -S; nft list tables 2>&1 || true');
    }
    const context = join(store.work, 'context');
    await mkdir(join(context, 'www'), { recursive: true });
    await copyFile(BUSYBOX, join(context, 'busybox'));
    await writeFile(join(context, 'www/index.html'), 'world\n');
    const lines = [
      'FROM scratch',
      'COPY --chmod=755 busybox /bin/busybox',
      'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
    ];
    await writeFile(join(context, 'Dockerfile'), [...lines, 'RUN echo hello > /index.html'].join('\n'));
    await world.start(['sh', '-c', `echo ready; exec ${BUSYBOX} httpd -f -p 80 -h ${join(context, 'www')}`]);
    await world.start([process.execPath, '-e', RESOLVER]);
    const before = traces();
    const built = await berth('build', '-q', '-t', 'box', context);
    if (built.code !== 0) throw new Error(`the image of these tests was not built: ${built.stderr}`);
    // The network of its steps goes soon after it.
    await until(() => traces() === before);
  });

  afterAll(async () => {
    const { stdout } = await berth('ps', '-aq', '--no-trunc');
    const ids = stdout.split('\n').filter(Boolean);
    if (ids.length > 0) await berth('rm', '-f', ...ids);
    [host, world].forEach((space) => space.close());
    await store.remove();
  });

  /** Everything that a network leaves on a machine while it is in use. */
  const traces = (): string =>
    host.sh(
      'ip -o link | cut -d: -f2; iptables -S; iptables -t nat -S; ip6tables -S; ! command -v nft >/dev/null || nft list tables',
    );

  test('containers find each other by name, reach the world, and are reached by their ports', async () => {
    const before = traces();
    expect(await berth('network', 'create', 'mine')).toMatchObject({ code: 0, stderr: '' });
    const web = [
      '--name',
      'web',
      '--network',
      'mine',
      '--network-alias',
      'api',
      '-p',
      '8080:80',
      '-p',
      '127.0.0.1::53/udp',
    ];
    expect(await berth('run', '-d', ...web, 'box', 'httpd', '-f', '-h', '/')).toMatchObject({ code: 0 });
    const asked = await inside(
      'mine',
      'wget -qO- http://api/; wget -qO- http://192.0.2.2/; nslookup web.mine; nslookup far.example',
    );
    expect(asked.stdout).toMatch(/^hello\nworld\n/);
    expect(asked.stdout).toMatch(/Name:\s+web\.mine\nAddress: 172\.\d+\.\d+\.2\n/);
    expect(asked.stdout).toMatch(/Name:\s+far\.example\nAddress: 192\.0\.2\.77\n/);
    expect(host.sh('iptables -S DOCKER-USER')).toContain('berth network');

    expect(host.sh(`${BUSYBOX} wget -qO- http://127.0.0.1:8080/`)).toBe('hello\n');
    const { stdout: lines } = await berth('port', 'web');
    expect(lines).toContain('80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n');
    const udp = /53\/udp -> 127\.0\.0\.1:(\d+)/.exec(lines)?.[1] ?? '';
    const { stdout: pid } = await berth('inspect', '-f', '{{.State.Pid}}', 'web');
    const container = spaceOf(Number(pid));
    await container.start([process.execPath, '-e', ECHO]);
    expect(host.sh(`${process.execPath} -e "${ASK.replaceAll('\n', ' ')}" ${udp}`)).toBe('ping\n');
    container.close();

    expect(await berth('network', 'rm', 'mine')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has active endpoints'),
    });
    // Its monitor is killed: the next command finds nothing of it.
    const monitor = host.sh(`cut -d' ' -f4 /proc/${pid.trim()}/stat`).trim();
    process.kill(Number(monitor), 'SIGKILL');
    await until(() => !existsSync(`/proc/${pid.trim()}`));
    expect((await berth('ps', '-a', '--format', '{{.Names}} {{.State}}')).stdout).toBe('web dead\n');
    await until(() => traces() === before);
    expect(await berth('rm', 'web')).toMatchObject({ code: 0 });
    expect(await berth('network', 'rm', 'mine')).toMatchObject({ code: 0, stdout: 'mine\n' });
  }, 180_000);

  test('a container without a network of its choice has the way out and no names, an internal one has none', async () => {
    const before = traces();
    const found = await inside('bridge', 'cat /etc/resolv.conf; wget -qO- http://192.0.2.2/');
    expect(found.stdout).toBe('nameserver 192.0.2.2\nworld\n');
    // As a user, who may not bind a low port or ping anywhere else.
    const pings = 'cat /proc/sys/net/ipv4/ping_group_range';
    const listen = 'nc -l -p 80 -e echo low & until nc 127.0.0.1 80 || ! kill -0 $!; do :; done';
    const user = await berth('run', '--rm', '-u', '1000', 'box', 'sh', '-c', `${pings}; ${listen}`);
    expect(user.stdout).toBe('0\t2147483647\nlow\n');
    const own = ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=1024', 'box'];
    const kept = await berth('run', '--rm', ...own, 'cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start');
    expect(kept.stdout).toBe('1024\n');
    const usual = ['--ipv4', '--ipv6=false', '--scope', 'local', '--ipam-driver', 'default'];
    const reserved = ['--subnet', '10.66.0.0/24', '--aux-address', 'router=10.66.0.2'];
    await berth('network', 'create', '--internal', ...usual, ...reserved, 'dark');
    const config = await berth('network', 'inspect', '-f', '{{json .IPAM.Config}}', 'dark');
    expect(JSON.parse(config.stdout)).toEqual([
      { Subnet: '10.66.0.0/24', AuxiliaryAddresses: { router: '10.66.0.2' } },
    ]);
    expect((await berth('run', '--rm', '--network', 'dark', '--ip', '10.66.0.2', 'box', 'true')).code).toBe(125);
    const dark = await inside('dark', 'ip -4 -o addr show eth0; ip route; ping -c 1 -W 1 192.0.2.2');
    expect(dark.stdout).toContain('inet 10.66.0.3/24');
    expect(dark.stdout).not.toContain('default');
    expect(dark.code).toBe(1);
    expect((await berth('network', 'prune', '-f')).stdout).toBe('Deleted Networks:\ndark\n\n');
    await until(() => traces() === before);
  });

  test('a running container joins and leaves networks, its names, its way out and its ports with it', async () => {
    const before = traces();
    await berth('network', 'create', '--internal', 'inner');
    await berth('network', 'create', '--subnet', '10.77.0.0/24', 'outer');
    const server = ['--name', 'db', '--network', 'inner', '--dns', '192.0.2.2', '-p', '8081:80'];
    await berth('run', '-d', ...server, 'box', 'httpd', '-f', '-h', '/');
    await berth('create', '--name', 'late', '--network', 'inner', 'box', 'wget', '-qO-', 'http://db.outer/');
    const shell = async (script: string): Promise<string> => (await berth('exec', 'db', 'sh', '-c', script)).stdout;
    const files = '{{.HostsPath}} {{.ResolvConfPath}} {{.HostnamePath}} {{.LogPath}} {{.NetworkSettings.SandboxKey}}';
    const paths = (await berth('inspect', '-f', files, 'db')).stdout.trim().split(' ');
    expect(paths.map((path) => [path, existsSync(path)])).toEqual(paths.map((path) => [path, true]));
    expect(await readFile(paths[0] ?? '', 'utf8')).toMatch(/\tdb$|127\.0\.0\.1\tlocalhost/m);
    expect(await readFile(paths[1] ?? '', 'utf8')).toContain('nameserver');
    const reached = (): string => host.sh(`${BUSYBOX} wget -qO- http://127.0.0.1:8081/ || true`);
    expect(await shell('nslookup -type=a far.example; echo 192.0.2.9 mine >> /etc/hosts')).not.toContain('192.0.2.77');

    const joined = await berth('network', 'connect', '--alias', 'data', '--ip', '10.77.0.9', 'outer', 'db');
    expect(joined).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await shell('wget -qO- http://192.0.2.2/; nslookup -type=a far.example')).toMatch(
      /^world\n[^]*192\.0\.2\.77/,
    );
    expect(await shell('cat /etc/hosts')).toMatch(/192\.0\.2\.9 mine\n10\.77\.0\.9\t[0-9a-f]{12}\n$/);
    expect((await inside('outer', 'wget -qO- http://data/; nslookup data')).stdout).toMatch(/^hello\n[^]*10\.77\.0\.9/);
    const again = await berth('network', 'connect', 'outer', 'db');
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('already exists in network outer')]);
    await berth('network', 'connect', 'outer', 'late');
    expect((await berth('start', '-a', 'late')).stdout).toBe('hello\n');
    await berth('rename', 'db', 'store');
    expect((await inside('outer', 'wget -qO- http://store/; wget -qO- http://db/')).stdout).toBe('hello\n');

    expect(await berth('network', 'disconnect', 'inner', 'store')).toEqual({ code: 0, stdout: '', stderr: '' });
    await until(() => reached() === 'hello\n');
    const twice = await berth('network', 'disconnect', 'inner', 'store');
    expect([twice.code, twice.stderr]).toEqual([1, expect.stringContaining('is not connected to network inner')]);
    await berth('restart', '-t', '0', 'store');
    expect((await berth('exec', 'store', 'ip', '-4', '-o', 'addr')).stdout).toMatch(
      /lo .*\n.* eth\d +inet 10\.77\.0\.9\/24/,
    );
    expect(reached()).toBe('hello\n');
    await berth('network', 'disconnect', 'outer', 'store');
    expect((await berth('inspect', '-f', '{{json .NetworkSettings.Networks}}', 'store')).stdout).toBe('{}\n');
    await berth('rm', '-f', 'store', 'late');
    await berth('network', 'rm', 'inner', 'outer');
    const journal = ['events', '--since', '10m', '--until', '0s', '-f', 'network=inner', '--format', '{{.Action}}'];
    const acts = ['create', 'connect', 'connect', 'disconnect', 'disconnect', 'destroy'];
    expect((await berth(...journal)).stdout).toBe(`${acts.join('\n')}\n`);
    await until(() => traces() === before);
  }, 180_000);

  test('a container whose port is taken stays as one that was made, and starts when the port is free', async () => {
    const before = traces();
    const web = ['-p', '127.0.0.1:8083:80', 'box', 'httpd', '-f', '-h', '/'];
    await berth('run', '-d', '--name', 'db', '--hostname', 'store', '-e', 'A=1', '--expose', '5432', ...web);
    const cidfile = join(store.work, 'cid');
    const late = ['run', '-d', '--name', 'late', '--cidfile', cidfile, '--link', 'db:data', '-v', '/kept', ...web];
    const { code, stdout, stderr } = await berth(...late);
    expect([code, stderr]).toEqual([
      125,
      expect.stringContaining('Bind for 127.0.0.1:8083 failed: port is already allocated'),
    ]);
    expect(await readFile(cidfile, 'utf8')).toBe(stdout.trim());
    expect((await berth('run', '--rm', '--name', 'gone', ...web)).code).toBe(125);
    expect((await berth('ps', '-a', '--format', '{{.Names}} {{.Status}}')).stdout).toMatch(/^late Created\ndb Up/);
    const state = '{{.State.Status}} {{.State.ExitCode}} {{.HostConfig.Links}}';
    expect((await berth('inspect', '-f', state, stdout.trim())).stdout).toBe('created 128 [/db:/late/data]\n');
    // Links of the default network are lines and variables.
    const env = await berth(
      'run',
      '--rm',
      '--link',
      'db:data',
      '-e',
      'DATA_ENV_A=own',
      'box',
      'sh',
      '-c',
      'env; cat /etc/hosts',
    );
    expect(env.stdout).toMatch(/^DATA_PORT_5432_TCP=tcp:\/\/172\.\d+\.\d+\.2:5432$/m);
    expect(env.stdout).toMatch(/^DATA_ENV_A=own$/m);
    expect(env.stdout).toMatch(/^172\.\d+\.\d+\.2\tdata store db$/m);
    await berth('stop', '-t', '0', 'db');
    const alone = await berth('start', 'late');
    expect([alone.code, alone.stderr]).toEqual([
      1,
      expect.stringContaining('non running container: /db AS /late/data'),
    ]);
    await berth('start', 'db');
    expect((await berth('start', 'late')).stderr).toContain('port is already allocated');
    await berth('rm', '-v', '-f', 'db', 'late');
    await until(() => traces() === before);
  }, 120_000);

  const ifIpv6 = HAS_IPV6 ? test : test.skip;
  ifIpv6(
    `a network with IPv6 has addresses, names, ports and a way out of both families${HAS_IPV6 ? '' : ': this kernel has none'}`,
    async () => {
      const before = traces();
      const subnets = ['--ipv6', '--subnet', '10.88.0.0/24', '--subnet', 'fd88::/64'];
      await berth('network', 'create', ...subnets, '-o', 'com.docker.network.bridge.name=dual0', 'dual');
      const place =
        'name=dual,ip6=fd88::9,alias=web,link-local-ip=169.254.7.7,driver-opt=com.docker.network.endpoint.ifname=lan0';
      await berth('run', '-d', '--name', 'six', '--network', place, '-p', '8084:80', 'box', 'httpd', '-f', '-h', '/');
      expect(host.sh('ip -br link; sysctl -n net.ipv6.conf.dual0.accept_ra')).toMatch(/^dual0 [^]*\n0\n$/m);
      for (const address of ['127.0.0.1', '[::1]']) {
        expect(host.sh(`${BUSYBOX} wget -qO- http://${address}:8084/`)).toBe('hello\n');
      }
      const script =
        'nslookup -type=aaaa peer; cat /etc/hosts; wget -qO- http://[fd88::9]/; wget -qO- http://[2001:db8::2]/';
      const asked = await berth('run', '--rm', '--network', 'dual', '--link', 'six:peer', 'box', 'sh', '-c', script);
      expect(asked.stdout).toMatch(
        /Name:\s+peer\nAddress: fd88::9\n[^]*10\.88\.0\.3\t\w+\nfd88::2\t\w+\nhello\nworld\n$/,
      );
      const shown = '{{.GlobalIPv6Address}}/{{.GlobalIPv6PrefixLen}} {{.IPv6Gateway}} {{json .IPAMConfig}}';
      expect(
        (await berth('inspect', '-f', `{{with index .NetworkSettings.Networks "dual"}}${shown}{{end}}`, 'six')).stdout,
      ).toBe('fd88::9/64 fd88::1 {"IPv6Address":"fd88::9","LinkLocalIPs":["169.254.7.7"]}\n');
      const network = '{{.EnableIPv6}} {{json .IPAM.Config}} {{range .Containers}}{{.IPv6Address}}{{end}}';
      expect((await berth('network', 'inspect', '-f', network, 'dual')).stdout).toBe(
        'true [{"Subnet":"10.88.0.0/24"},{"Subnet":"fd88::/64"}] fd88::9/64\n',
      );
      // A network that is joined later may lead out in the place of the first, and gives the way back when it is left.
      await berth('run', '-d', '--name', 'guest', 'box', 'sleep', '1000');
      const routes = async (): Promise<string> =>
        (await berth('exec', 'guest', 'sh', '-c', 'ip route | grep default; ip -6 route | grep default')).stdout;
      const alone = await routes();
      const flags = ['--gw-priority', '5', '--ip6', 'fd88::7', '--link', 'six:near', '--link-local-ip', 'fe80::7'];
      expect(await berth('network', 'connect', ...flags, 'dual', 'guest')).toEqual({ code: 0, stdout: '', stderr: '' });
      expect(await routes()).toBe('default via 10.88.0.1 dev eth1 \ndefault via fd88::1 dev eth1  metric 1024 \n');
      expect((await berth('exec', 'guest', 'nslookup', '-type=aaaa', 'near')).stdout).toContain('Address: fd88::9\n');
      expect((await berth('exec', 'guest', 'ip', '-6', 'addr', 'show', 'eth1')).stdout).toContain('fe80::7/64');
      await berth('network', 'disconnect', 'dual', 'guest');
      expect(await routes()).toBe(alone);
      // Nothing is left of either family, though nobody has ended it in order.
      const { stdout: pid } = await berth('inspect', '-f', '{{.State.Pid}}', 'six');
      process.kill(Number(host.sh(`cut -d' ' -f4 /proc/${pid.trim()}/stat`)), 'SIGKILL');
      await until(() => !existsSync(`/proc/${pid.trim()}`));
      await berth('rm', '-f', 'six', 'guest');
      await berth('network', 'rm', 'dual');
      await until(() => traces() === before);
    },
    180_000,
  );

  test('a container lives in the network of another one, with its names and its files', async () => {
    await berth('run', '-d', '--name', 'owner', '--add-host', 'far:192.0.2.9', 'box', 'httpd', '-f', '-h', '/');
    const alone = await berth('exec', 'owner', 'sh', '-c', 'hostname; cat /etc/hosts /etc/resolv.conf');
    const join = ['run', '--rm', '--network', 'container:owner', 'box', 'sh', '-c'];
    const both = await berth(...join, 'hostname; cat /etc/hosts /etc/resolv.conf; wget -qO- http://127.0.0.1/ >&2');
    expect(both).toEqual({ code: 0, stdout: alone.stdout, stderr: 'hello\n' });
    await berth('run', '-d', '--name', 'guest', '--network', 'container:owner', 'box', 'sleep', '1000');
    expect((await berth('exec', 'guest', 'wget', '-qO-', 'http://127.0.0.1/')).stdout).toBe('hello\n');
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await berth(...args);
      return `${code}: ${stderr}`;
    };
    expect(await refused('network', 'connect', 'bridge', 'guest')).toMatch(/^1: .*sharing network namespace/);
    for (const flags of [
      ['-p', '80:80'],
      ['-h', 'x'],
      ['--dns', '192.0.2.2'],
      ['--add-host', 'a:1.2.3.4'],
    ]) {
      expect(await refused('run', '--network', 'container:owner', ...flags, 'box', 'true')).toMatch(
        /^125: .*conflicting options/,
      );
    }
    await berth('rm', '-f', 'owner');
    await berth('stop', '-t', '0', 'guest');
    expect(await refused('start', 'guest')).toMatch(/^1: .*such container/);
    await berth('create', '--name', 'owner', 'box', 'true');
    expect(await refused('run', '--rm', '--network', 'container:owner', 'box', 'true')).toMatch(
      /^125: .*cannot join network of a non running container/,
    );
    await berth('rm', '-f', 'owner', 'guest');
  }, 120_000);

  test.each([
    [['network', 'rm', 'bridge'], 'is a pre-defined network and cannot be removed'],
    [['network', 'rm', 'ghost'], 'network ghost not found'],
    [['network', 'create', 'host'], 'operation is not permitted on predefined host network'],
    [['network', 'create', '-d', 'overlay', 'x'], 'network driver overlay'],
    [['network', 'create', '--subnet', '192.0.2.128/25', 'x'], 'Pool overlaps'],
    [['network', 'create', '--subnet', '10.1.2.0/24', '--gateway', '10.1.3.1', 'x'], 'no matching subnet'],
    [['network', 'create', '--subnet', 'fd00:1::/64', 'x'], 'it is of IPv6, and the network has none'],
    [['network', 'create', '--ipv4=false', 'x'], 'IPv4 or IPv6 must be enabled'],
    [['network', 'create', '--ipv4=false', '--ipv6', 'x'], '--ipv4=false'],
    [['network', 'create', '-o', 'foo=bar', 'x'], '--opt foo'],
    [['run', '--link', 'ghost', 'box', 'true'], 'could not get container for ghost'],
    [['run', '--network', 'none', '--link', 'x', 'box', 'true'], '--link with --network none: conflicting options'],
    [['run', '--ip6', 'fd00::1', 'box', 'true'], 'is supported on user defined networks only'],
    [['run', '--link-local-ip', '10.0.0.1', 'box', 'true'], 'invalid link local IP address: 10.0.0.1'],
    [['network', 'connect', '--gw-priority', 'high', 'bridge', 'x'], 'invalid gw-priority (high)'],
    [['network', 'create', '--scope', 'swarm', 'x'], 'scope swarm'],
    [['network', 'create', '--ipam-driver', 'dhcp', 'x'], 'address driver dhcp'],
    [
      ['network', 'create', '--aux-address', 'a=10.1.2.3', 'x'],
      '--aux-address a=10.1.2.3 for a network: no matching subnet',
    ],
    [['network', 'create', '-o', 'com.docker.network.bridge.name=lo', 'x'], 'existing interface lo is not a bridge'],
    [
      ['network', 'create', '--subnet', '10.1.2.0/24', '--aux-address', 'a=10.1.3.3', 'x'],
      'no matching subnet: 10.1.2.0/24 does not hold it',
    ],
    [['network', 'create', '../x'], 'only [a-zA-Z0-9]'],
    [['run', '--network', 'ghost', 'box', 'true'], 'network ghost not found'],
  ])('refuses %j, and says why', async (args, message) => {
    const { code, stderr } = await berth(...args);
    expect(stderr).toContain(message);
    expect(code).not.toBe(0);
  });
});

/** Waits until something holds; what waits for the kernel has no event. */
async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !holds(); round += 1) await delay(50);
  expect(holds()).toBe(true);
}

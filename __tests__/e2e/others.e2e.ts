import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasProgram } from '../helpers/docker-registry.ts';
import { NO_ACCOUNTS, takeAccount } from './support/account.ts';
import { startBaseRegistry, type BaseRegistry } from './support/registry.ts';
import { createWorld, type World } from './support/world.ts';

const programs = ['skopeo', 'umoci', 'runc'];
const missing = programs.filter((name) => !hasProgram(name));
const reason = NO_ACCOUNTS ?? (missing.length > 0 ? `missing ${missing.join(', ')}` : undefined);
const suite = reason === undefined ? describe : describe.skip;
if (reason !== undefined) console.log(`others: ${reason}`);
const withPodman = hasProgram('podman') ? test : test.skip;
if (!hasProgram('podman')) console.log('others: no podman, runc alone runs what we made');

suite('what others make of our image', () => {
  let registry: BaseRegistry;
  let world: World;
  let layout = '';
  beforeAll(async () => {
    registry = await startBaseRegistry();
    world = createWorld(takeAccount('root'), registry.mirrors);
    writeApp(world);
    const tag = `${registry.host}/unixapi:1`;
    const built = await world.berth(['build', '--tag', tag, '.'], { cwd: join(world.folder, 'app') });
    expect(built.code).toBe(0);
    expect((await world.berth(['push', tag])).code).toBe(0);
    layout = join(world.folder, 'layout');
  });
  afterAll(async () => {
    await world.remove();
    await registry.stop();
  });

  test('skopeo inspects it and pulls it byte for byte', async () => {
    const source = `docker://${registry.host}/unixapi:1`;
    const seen = JSON.parse(
      execFileSync('skopeo', ['inspect', '--tls-verify=false', source], { encoding: 'utf8' }),
    ) as { readonly Digest: string };
    expect(seen.Digest).toBe(await registry.digest('unixapi', '1'));
    execFileSync('skopeo', ['copy', '--src-tls-verify=false', source, `oci:${layout}:1`]);
    expect(existsSync(join(layout, 'blobs/sha256', seen.Digest.slice(7)))).toBe(true);
  });

  test('umoci unpacks it and runc runs it with the same answer', async () => {
    const bundle = join(world.folder, 'bundle');
    execFileSync('umoci', ['unpack', '--image', `${layout}:1`, bundle]);
    const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as RuntimeConfig;
    expect(config.process.args).toEqual(['python', '/app/app.py']);
    expect(config.process.cwd).toBe('/app');
    const socket = join(world.folder, 'runc', 'api.sock');
    mkdirSync(join(world.folder, 'runc'));
    config.process.terminal = false;
    config.mounts.push({
      destination: '/run/api',
      source: join(world.folder, 'runc'),
      type: 'bind',
      options: ['rbind', 'rw'],
    });
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    const container = `berth-e2e-${process.pid}`;
    const running = world.start(['runc', 'run', '--bundle', bundle, container]);
    try {
      const answer = await predict(socket, running.ended);
      expect(answer).toEqual(await predictWithBerth(world, registry));
      expect(answer).toEqual({ prediction: 6 });
    } finally {
      await world.run(['runc', 'kill', container, 'KILL']);
      await running.ended;
      await world.run(['runc', 'delete', '--force', container]);
    }
  });

  withPodman('podman runs what skopeo pulled with the same answer', async () => {
    const { podman, storage, options } = podmanOf(world);
    const image = 'localhost/unixapi:1';
    const copy = ['copy', '--quiet', `oci:${layout}:1`, `containers-storage:[${storage}]${image}`];
    expect(await world.run(['skopeo', ...copy])).toMatchObject({ code: 0 });
    const shared = join(world.folder, 'podman-api');
    mkdirSync(shared);
    const run = ['run', '--rm', '--name', 'api', '--network', 'none', '--volume', `${shared}:/run/api`, image];
    const running = world.start([...podman, ...run], options);
    try {
      expect(await predict(join(shared, 'api.sock'), running.ended)).toEqual({ prediction: 6 });
    } finally {
      await world.run([...podman, 'stop', '--time', '10', 'api'], options);
      await running.ended;
      // Also takes its mount away.
      await world.run([...podman, 'system', 'reset', '--force'], options);
    }
    expect(await running.ended).toMatchObject({ code: 0 });
  });
});

interface Podman {
  readonly podman: readonly string[];
  /** The storage in the words of skopeo. */
  readonly storage: string;
  readonly options: { readonly env: Readonly<Record<string, string>> };
}

/** Podman with a storage of its own. It runs containers by runc, which takes every layout of cgroups; crun refuses some. */
function podmanOf(world: World): Podman {
  const root = join(world.folder, 'podman');
  const state = join(world.folder, 'podman-run');
  const settings = join(world.folder, 'podman.conf');
  // It raises limits by default, which root without CAP_SYS_RESOURCE may not.
  writeFileSync(settings, '[containers]\ndefault_ulimits = []\n');
  const places = ['--root', root, '--runroot', state, '--storage-driver', 'overlay'];
  return {
    podman: ['podman', ...places, '--cgroup-manager', 'cgroupfs', '--runtime', 'runc'],
    storage: `overlay@${root}+${state}`,
    options: { env: { CONTAINERS_CONF: settings } },
  };
}

interface RuntimeConfig {
  readonly process: { readonly args: readonly string[]; readonly cwd: string; terminal: boolean };
  readonly mounts: { destination: string; source: string; type: string; options: readonly string[] }[];
}

async function predictWithBerth(world: World, registry: BaseRegistry): Promise<unknown> {
  const folder = join(world.folder, 'berth-run');
  mkdirSync(folder);
  const run = world.startBerth([
    'run',
    '--rm',
    '--name',
    'api',
    '-v',
    `${folder}:/run/api`,
    `${registry.host}/unixapi:1`,
  ]);
  const answer = await predict(join(folder, 'api.sock'), run.ended);
  expect((await world.berth(['stop', 'api'])).code).toBe(0);
  expect((await run.ended).code).toBe(0);
  return answer;
}

/** POST /predict over a Unix socket, as soon as it is there. */
async function predict(socketPath: string, ended: Promise<unknown>): Promise<unknown> {
  let over = false;
  void ended.then(() => (over = true));
  for (;;) {
    const answer = await post(socketPath).catch(() => undefined);
    if (answer !== undefined) return JSON.parse(answer);
    if (over) throw new Error('the container ended before it answered');
    await delay(50);
  }
}

function post(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({ features: [1, 2, 3] });
    const call = request(
      { socketPath, path: '/predict', method: 'POST', headers: { 'content-length': body.length } },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve(text));
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

/** A model API on a Unix socket, so that it can be asked in any runtime without its network. */
function writeApp(world: World): void {
  const context = join(world.folder, 'app');
  mkdirSync(context, { recursive: true });
  writeFileSync(
    join(context, 'Dockerfile'),
    'FROM python:3.11-slim\nWORKDIR /app\nRUN mkdir /data && ln /etc/hostname /data/link 2>/dev/null || true; rm -rf /usr/share/doc\nCOPY app.py .\nCMD ["python", "/app/app.py"]\n',
  );
  writeFileSync(
    join(context, 'app.py'),
    `import json, signal, sys
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


class Handler(BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"

    def do_POST(self):
        features = json.loads(self.rfile.read(int(self.headers["content-length"])))["features"]
        body = json.dumps({"prediction": sum(features)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


UnixStreamServer("/run/api/api.sock", Handler).serve_forever()
`,
  );
}

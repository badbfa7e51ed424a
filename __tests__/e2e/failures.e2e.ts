import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { startDockerRegistry, hasProgram } from '../helpers/docker-registry.ts';
import { NO_ACCOUNTS, takeAccount } from './support/account.ts';
import { startBaseRegistry, type BaseRegistry } from './support/registry.ts';
import { createWorld, type Outcome, type World } from './support/world.ts';

const suite = NO_ACCOUNTS === undefined ? describe : describe.skip;
if (NO_ACCOUNTS !== undefined) console.log(`failures: ${NO_ACCOUNTS}`);

suite('what goes wrong', () => {
  let registry: BaseRegistry;
  let world: World;
  beforeAll(async () => {
    registry = await startBaseRegistry();
    world = createWorld(takeAccount('root'), registry.mirrors);
    writeApp(world);
  });
  afterAll(async () => {
    await world.remove();
    await registry.stop();
  });

  test.each([
    ['500', /HTTP 500|status 500|got 500|500/],
    ['wrong-body', /confidence/],
    ['dies', /process-exited|exited/],
    ['never-ready', /not-ready|not ready/],
    ['nan', /NaN/],
  ])('a /predict that fails as %s stops the push and shows request, answer and log', async (mode, answer) => {
    const tag = `${registry.host}/app:${mode}`;
    const outcome = await world.berth(
      ['ci', '--build-arg', `MODE=${mode}`, '--smoke-test', 'smoke-test.yaml', '--tag', tag, '--push', '.'],
      app(world),
    );
    expect(outcome.code).not.toBe(0);
    expect(outcome.output).toMatch(answer);
    expect(outcome.output).toContain(`log line of ${mode}`);
    if (mode !== 'never-ready') expect(outcome.output).toMatch(/curl .*\/predict/);
    expect(outcome.output).not.toContain('== pushed');
    expect(await registry.digest('app', mode)).toBeUndefined();
    await expectWhole(world);
  });

  test('the same app passes and is pushed when it answers well', async () => {
    const tag = `${registry.host}/app:good`;
    const outcome = await world.berth(
      ['ci', '--build-arg', 'MODE=good', '--smoke-test', 'smoke-test.yaml', '--tag', tag, '--push', '.'],
      app(world),
    );
    expect(outcome.output).toMatch(/tested (sha256:[0-9a-f]{64}) == pushed \1/);
    const digest = /tested (sha256:[0-9a-f]{64})/.exec(outcome.output)?.[1];
    expect(outcome.code).toBe(0);
    expect(await registry.digest('app', 'good')).toBe(digest);
  });

  test('a failing RUN names its line and exit code, and the line it prints opens the state before it', async () => {
    const context = join(world.folder, 'broken');
    mkdirSync(context, { recursive: true });
    writeFileSync(
      join(context, 'Dockerfile'),
      'FROM python:3.11-slim\nRUN echo kept > /kept\nRUN echo nearly && exit 7\n',
    );
    const outcome = await world.berth(['build', '.'], { cwd: context });
    expect(outcome.code).not.toBe(0);
    expect(outcome.output).toMatch(/Dockerfile:3/);
    expect(outcome.output).toMatch(/RUN echo nearly && exit 7/);
    expect(outcome.output).toMatch(/exit code(:| is) 7/);
    expect(outcome.output).toContain('nearly');
    const line = /berth (run .* sh)\b/.exec(outcome.output)?.[1] ?? '';
    expect(line).toMatch(/^run /);
    const words = line.split(' ').filter((word) => word !== '-it' && word !== '-ti');
    const opened = await world.berth([...words, '-c', 'cat /kept']);
    expect(opened.stdout).toBe('kept\n');
    expect(opened.code).toBe(0);
    await expectWhole(world);
  });

  test('a missing base is one clear line', async () => {
    const outcome = await build(world, 'FROM python:0.0-none\nRUN true\n');
    expectOneLine(outcome, /python:0\.0-none/);
    await expectWhole(world);
  });

  test('a refused connection is one clear line that names the registry', async () => {
    const port = await closedPort();
    const outcome = await world.berth(['pull', `127.0.0.1:${port}/nothing:1`]);
    expectOneLine(outcome, new RegExp(`127\\.0\\.0\\.1:${port}`));
    await expectWhole(world);
  });

  const withPassword = hasProgram('docker-registry') ? test : test.skip;
  withPassword('a wrong password is one clear line, and the password is in none', async () => {
    // bcrypt of "right", made once; the registry takes nothing else.
    const htpasswd = 'ci:$2y$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC\n';
    const protectedRegistry = await startDockerRegistry({ htpasswd });
    const config = join(world.folder, 'docker');
    mkdirSync(config, { recursive: true });
    const auth = Buffer.from('ci:wrong-canary').toString('base64');
    writeFileSync(join(config, 'config.json'), JSON.stringify({ auths: { [protectedRegistry.address]: { auth } } }));
    const image = await build(world, 'FROM scratch\nLABEL a=b\n', ['--tag', `${protectedRegistry.address}/x:1`]);
    expect(image.code).toBe(0);
    const outcome = await world.berth(['push', `${protectedRegistry.address}/x:1`], { env: { DOCKER_CONFIG: config } });
    expectOneLine(outcome, /credential|password|unauthori[sz]ed|401/i);
    expect(outcome.output).not.toContain('wrong-canary');
    expect(outcome.output).not.toContain(auth);
    await protectedRegistry.close();
    await expectWhole(world);
  });
});

function app(world: World): { readonly cwd: string } {
  return { cwd: join(world.folder, 'app') };
}

async function build(world: World, dockerfile: string, args: readonly string[] = []): Promise<Outcome> {
  const context = join(world.folder, 'tiny');
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), dockerfile);
  return await world.berth(['build', ...args, '.'], { cwd: context });
}

/** Non-zero, and exactly one `berth: …` line, with what it should name; a hint may follow. */
function expectOneLine(outcome: Outcome, names: RegExp): void {
  expect(outcome.code).not.toBe(0);
  const lines = outcome.stderr.split('\n').filter((line) => line.startsWith('berth: '));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(names);
  expect(outcome.output).not.toMatch(/\n\s+at .*\.(ts|js):\d+/);
}

async function expectWhole(world: World): Promise<void> {
  const fsck = await world.berth(['system', 'fsck']);
  expect(fsck.output).not.toMatch(/problem: /);
  expect(fsck.code).toBe(0);
}

function closedPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => resolve(port));
    });
  });
}

/** A model API of the standard library alone, whose MODE says how it fails. */
function writeApp(world: World): void {
  const context = join(world.folder, 'app');
  mkdirSync(context, { recursive: true });
  writeFileSync(
    join(context, 'Dockerfile'),
    'FROM python:3.11-slim\nWORKDIR /app\nCOPY app.py .\nARG MODE\nENV MODE=$MODE PYTHONUNBUFFERED=1\nEXPOSE 8000\nCMD ["python", "app.py"]\n',
  );
  writeFileSync(
    join(context, 'app.py'),
    `import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

mode = os.environ["MODE"]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("log line of " + mode)


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(503 if mode == "never-ready" else 200, b'{"status": "ok"}')

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if mode == "dies":
            print("dying now")
            os._exit(3)
        if mode == "500":
            self.answer(500, b'{"detail": "model exploded"}')
        elif mode == "wrong-body":
            self.answer(200, b'{"prediction": 1}')
        elif mode == "nan":
            self.answer(200, b'{"prediction": 1, "confidence": NaN}')
        else:
            self.answer(200, json.dumps({"prediction": 1, "confidence": 0.9}).encode())


HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
`,
  );
  writeFileSync(
    join(context, 'smoke-test.yaml'),
    `version: 1
readinessProbe:
  httpGet: { path: /health, port: 8000 }
  periodSeconds: 1
  startupTimeoutSeconds: 8
requests:
  - name: one row
    request:
      method: POST
      path: /predict
      json: { features: [1, 2] }
    response:
      status: 200
      jsonpath:
        '$.confidence': { '>=': 0, '<=': 1 }
shutdown: { timeoutSeconds: 2, exitCodes: [0, 137, 143] }
`,
  );
}

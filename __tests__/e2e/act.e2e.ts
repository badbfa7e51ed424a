import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { bundle } from '../../scripts/bundle.mjs';
import { node24 } from '../../scripts/node24.mjs';
import { writeApp } from '../helpers/action-app.ts';
import { HELPER, NO_CONTAINERS } from '../helpers/berth.ts';
import { startCacheServer, type CacheServer } from '../helpers/cache-server.ts';
import { holds } from '../helpers/canary.ts';
import { freePort } from '../helpers/process-engine.ts';
import { hasProgram, startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { commitAll, findAct, runAct } from './support/act.ts';

const ACT = findAct();
const reason =
  NO_CONTAINERS ??
  (hasProgram('docker-registry') ? undefined : 'no docker-registry') ??
  (ACT === undefined ? 'nektos/act is not there: go install github.com/nektos/act@latest' : undefined);
const suite = reason === undefined ? describe : describe.skip;
if (reason !== undefined) console.log(`act: ${reason}`);

const ROOT = resolve(import.meta.dirname, '../..');
const USER = 'deploy';
const PASSWORD = 'canary-7f3a"%&+ö-pässword';
/** bcrypt of {@link PASSWORD}, cost 5. */
const HTPASSWD = `${USER}:\$2y\$05\$abcdefghijklmnopqrstuu745zkJXG/fupTgh5RXWPnrJgm3WUsQ.`;
const NAME = 'org/container-action@v1';

/**
 * The workflows of `examples/`, by a runner that is not ours. What is not as on GitHub, and why:
 * - ghcr.io is a registry on loopback, since nothing else can be pushed to; the user and the token are its own.
 * - act's own cache server speaks version 1 of the service alone, so the version 2 server of the other tests takes its place.
 * - The step actions/attest is left out: it asks GitHub for an identity and writes to its API, which act does not have.
 * - actions/checkout is not run: act skips it for the repository that it is started in, whose files are there.
 */
suite('the example workflows under nektos/act, on the host', () => {
  let action: string;
  let folder: string;
  let registry: DockerRegistry;
  let cache: CacheServer;

  beforeAll(async () => {
    action = mkdtempSync(join(tmpdir(), 'berth-act-action-'));
    copyFileSync(join(ROOT, 'action.yml'), join(action, 'action.yml'));
    copyFileSync(join(ROOT, 'package.json'), join(action, 'package.json'));
    await bundle(join(action, 'dist'));
  });
  afterAll(() => rmSync(action, { recursive: true, force: true }));
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-act-'));
    registry = await startDockerRegistry({ htpasswd: HTPASSWD });
    cache = await startCacheServer();
  });
  afterEach(async () => {
    await cache.close();
    await registry.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A repository with the app and the examples' workflows. */
  async function createRepository(files: Readonly<Record<string, string>> = {}): Promise<string> {
    const repository = join(folder, 'app');
    await writeApp(repository, files);
    mkdirSync(join(repository, '.github/workflows'), { recursive: true });
    for (const name of ['pull-request.yml', 'release.yml']) {
      const text = readFileSync(join(ROOT, 'examples/workflows', name), 'utf8')
        .replaceAll('ghcr.io', registry.address)
        .replace(/ {6}- uses: actions\/attest@[^]*$/, '');
      writeFileSync(join(repository, '.github/workflows', name), text);
    }
    commitAll(repository);
    return repository;
  }

  async function run(
    repository: string,
    workflow: string,
    event: string,
    payload: object,
  ): Promise<{ readonly code: number | null; readonly output: string }> {
    const path = join(folder, 'event.json');
    writeFileSync(path, JSON.stringify({ repository: { default_branch: 'main', full_name: 'octo/app' }, ...payload }));
    const { PATH = '' } = process.env;
    return await runAct(ACT ?? '', {
      repository,
      workflow,
      event,
      payload: path,
      action: [NAME, action],
      secrets: { GITHUB_TOKEN: PASSWORD },
      env: { BERTH_NATIVE: HELPER, ACTIONS_CACHE_SERVICE_V2: 'True' },
      own: {
        PATH: `${dirname(node24())}${delimiter}${PATH}`,
        HOME: folder,
        XDG_CACHE_HOME: join(folder, 'cache'),
        ACTIONS_RUNTIME_URL: cache.url,
        ACTIONS_RUNTIME_TOKEN: cache.token([{ Scope: 'refs/heads/main', Permission: 3 }]),
      },
      // Without an artifact server act tells no step of the services of a runner; its address is never used.
      more: [
        '--actor',
        USER,
        '--artifact-server-path',
        join(folder, 'artifacts'),
        '--artifact-server-addr',
        '127.0.0.1',
        '--artifact-server-port',
        String(await freePort()),
      ],
    });
  }

  const PULL = {
    pull_request: { number: 7, head: { ref: 'topic', repo: { full_name: 'octo/app' } }, base: { ref: 'main' } },
    number: 7,
  };

  async function manifest(tag: string): Promise<{ readonly status: number; readonly digest: string | null }> {
    const authorization = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
    const headers = { authorization, accept: 'application/vnd.oci.image.manifest.v1+json' };
    const answer = await fetch(`http://${registry.address}/v2/octo/app/manifests/${tag}`, { headers });
    await answer.body?.cancel();
    return { status: answer.status, digest: answer.headers.get('docker-content-digest') };
  }

  test('a release pushes what it tested and fills the cache; a pull request then builds nothing, or what it changed, and pushes nothing', async () => {
    const repository = await createRepository();
    const release = await run(repository, 'release.yml', 'push', { ref: 'refs/heads/main' });
    expect({ code: release.code, output: release.output.slice(-4000) }).toMatchObject({ code: 0 });
    const pushed = await manifest('main');
    expect(pushed.status).toBe(200);
    expect(release.output).toContain(`tested ${pushed.digest ?? ''} == pushed ${pushed.digest ?? ''}`);
    expect(holds(Buffer.from(release.output), PASSWORD)).toBe(false);
    expect(cache.entries.length).toBeGreaterThan(1);
    cache.forgetRequests();
    const pull = await run(repository, 'pull-request.yml', 'pull_request', PULL);
    expect({ code: pull.code, output: pull.output.slice(-4000) }).toMatchObject({ code: 0 });
    // Another digest, since a release has a label that a pull request has not; its layers are the same.
    expect(pull.output).toMatch(/built sha256:\w+: (\d+) steps, \1 cached, 0 executed/);
    expect(pull.output).toContain('not pushed');
    expect(pull.output).toMatch(/ready after \d+\.\d+ s, exit reason ''/);
    expect((await manifest('pr-7')).status).toBe(404);
    // One line of the app is another: what comes before its COPY is there.
    writeFileSync(join(repository, 'www/page'), 'new\n');
    const changed = await run(repository, 'pull-request.yml', 'pull_request', PULL);
    expect({ code: changed.code, output: changed.output.slice(-4000) }).toMatchObject({ code: 0 });
    const [, total, cached] = /built sha256:\w+: (\d+) steps, (\d+) cached, 2 executed/.exec(changed.output) ?? [];
    expect(Number(total) - Number(cached)).toBe(2);
    expect(holds(Buffer.from(pull.output + changed.output), PASSWORD)).toBe(false);
  });

  test('a predict that fails makes the job red, with its reason for later steps', async () => {
    const answer = '#!/bin/sh\nprintf \'Content-Type: application/json\\r\\n\\r\\n{"prediction": 2}\'\n';
    const repository = await createRepository({ 'www/cgi-bin/predict': answer });
    const pull = await run(repository, 'pull-request.yml', 'pull_request', PULL);
    expect(pull.code).toBe(1);
    expect(pull.output).toContain("exit reason 'assertion'");
    expect(pull.output).toContain('"prediction": 2');
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { formatPlatform, hostPlatform, type Platform } from '../../../engine/index.ts';
import { APP_DOCKERFILE, APP_SMOKE_TEST, writeApp } from '../../helpers/action-app.ts';
import { bundleAction, type ActionBundle } from '../../helpers/action-bundle.ts';
import { holds, leaksIn, watchProcesses } from '../../helpers/canary.ts';
import { HELPER, NO_CONTAINERS } from '../../helpers/berth.ts';
import { startCacheServer, type CacheEntry, type CacheServer, type Scope } from '../../helpers/cache-server.ts';
import { hasProgram, startDockerRegistry, type DockerRegistry } from '../../helpers/docker-registry.ts';
import { createJob, type Job, type StepOptions, type StepResult } from '../../helpers/runner.ts';

const WHY_NOT = NO_CONTAINERS ?? (hasProgram('docker-registry') ? undefined : 'no docker-registry');
const suite = WHY_NOT === undefined ? describe : describe.skip;

const USER = 'deploy';
const PASSWORD = 'canary-7f3a"%&+ö-pässword';
/** bcrypt of {@link PASSWORD}, cost 5. */
const HTPASSWD = `${USER}:\$2y\$05\$abcdefghijklmnopqrstuu745zkJXG/fupTgh5RXWPnrJgm3WUsQ.`;
const KEY = '-----BEGIN KEY-----\ncanary-key "a" 100% b&c+d/ö\n-----END KEY-----';
const MAIN: Scope = { Scope: 'refs/heads/main', Permission: 3 };

/** Of action.yml: all are set, however a step ends. */
const OUTPUTS = Object.keys(
  (
    parse(readFileSync(join(import.meta.dirname, '../../../action.yml'), 'utf8')) as {
      readonly outputs: Readonly<Record<string, unknown>>;
    }
  ).outputs,
).toSorted();
const INDEX = 'application/vnd.oci.image.index.v1+json';
/** The app for any machine: what runs while it is built runs on this one. */
const CROSS_DOCKERFILE = APP_DOCKERFILE.replace('FROM scratch', 'FROM --platform=$BUILDPLATFORM scratch')
  .replace('FROM builder', 'FROM scratch\nCOPY --from=builder / /')
  .replace(/^RUN echo .*\n/m, '');

let bundle: ActionBundle;
let registry: DockerRegistry;
let cache: CacheServer;
let job: Job;

beforeAll(async () => {
  bundle = await bundleAction();
  const which = bundle.committed ? 'dist/action itself' : 'a bundle of the sources at hand, which dist/ is not';
  process.stderr.write(`The scenarios run ${which}\n`);
});
afterAll(async () => {
  await bundle.remove();
});
beforeEach(async () => {
  registry = await startDockerRegistry({ htpasswd: HTPASSWD });
  cache = await startCacheServer();
  job = await createJob({ script: bundle.script });
  await writeApp(job.workspace);
});
afterEach(async () => {
  await expectNothingLeft();
  await job.close();
  await cache.close();
  await registry.close();
});

/** No process of ours, and no mount. */
async function expectNothingLeft(): Promise<void> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(job.temp));
  expect(mounts).toEqual([]);
  expect(await processesOf(job.temp)).toEqual([]);
}

async function processesOf(text: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(text));
}

function options(
  inputs: Readonly<Record<string, string>> = {},
  more: StepOptions & {
    readonly scopes?: readonly Scope[];
    /** A secret was put where it will be found. */
    readonly planted?: 'in the workspace' | 'everywhere';
  } = {},
): StepOptions {
  const { scopes = [MAIN], planted: _, ...step } = more;
  return {
    event: { repository: { default_branch: 'main' } },
    secrets: [PASSWORD],
    ...step,
    with: {
      tags: `${registry.address}/app:1`,
      'smoke-test': 'smoke-test.yaml',
      push: 'true',
      username: USER,
      password: PASSWORD,
      ...inputs,
    },
    env: {
      BERTH_NATIVE: HELPER,
      ACTIONS_CACHE_SERVICE_V2: 'True',
      ACTIONS_RESULTS_URL: cache.url,
      ACTIONS_RUNTIME_TOKEN: cache.token(scopes),
      ...step.env,
    },
  };
}

/** A whole job: main, post, and the folder for the next one. */
async function run(
  inputs: Readonly<Record<string, string>> = {},
  more: Parameters<typeof options>[1] = {},
): Promise<StepResult & { readonly post: StepResult }> {
  const given = options(inputs, more);
  const main = await job.main(given);
  const post = await job.post(given);
  expect(post.exitCode).toBe(0);
  // A machine that stays is left as it was: nothing of the store, and nothing on its way to the cache.
  expect((await readdir(job.temp)).filter((name) => name.startsWith('berth'))).toEqual([]);
  if (more.planted !== 'everywhere')
    await expectNowhere([main, post], more.planted === undefined ? [job.workspace] : []);
  await job.nextJob();
  return { ...main, post };
}

/** The password is in nothing that a job printed, wrote, pushed or saved. Arguments and environments are watched by the tests of secrets. */
async function expectNowhere(steps: readonly StepResult[], more: readonly string[] = [job.workspace]): Promise<void> {
  for (const { raw, summary, outputs } of steps) {
    const printed = raw.replaceAll(/^::add-mask::.*$/gm, '');
    expect(holds(Buffer.from(printed + summary + JSON.stringify(outputs)), PASSWORD)).toBe(false);
  }
  for (const folder of [...more, job.temp, job.toolCache, registry.storage])
    expect(await leaksIn(folder, PASSWORD)).toEqual([]);
  expect(cache.entries.filter(({ content }) => holds(content ?? Buffer.alloc(0), PASSWORD))).toEqual([]);
}

/** What jobs saved, by their inputs: a job that others begin with is run once. */
const filled = new Map<string, { readonly entries: readonly CacheEntry[]; readonly outputs: StepResult['outputs'] }>();

/** The outputs of a job of the unchanged app that has filled the cache. The registry need not have its image. */
async function warm(inputs: Readonly<Record<string, string>> = {}): Promise<StepResult['outputs']> {
  const key = JSON.stringify(inputs);
  const known = filled.get(key);
  if (known !== undefined) {
    await cache.close();
    cache = await startCacheServer(known.entries);
    return known.outputs;
  }
  const { outputs } = await run(inputs);
  filled.set(key, { entries: [...cache.entries], outputs });
  return outputs;
}

async function manifest(
  tag: string,
  password = PASSWORD,
): Promise<{ readonly status: number; readonly digest: string | null }> {
  const authorization = `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}`;
  const headers = { authorization, accept: 'application/vnd.oci.image.manifest.v1+json' };
  const answer = await fetch(`http://${registry.address}/v2/app/manifests/${tag}`, { headers });
  await answer.body?.cancel();
  return { status: answer.status, digest: answer.headers.get('docker-content-digest') };
}

/** What a tag of the registry names: the digest of an index, and those of its images by platform. */
async function indexOf(
  tag: string,
): Promise<{ readonly digest: string | null; readonly members: Readonly<Record<string, string>> }> {
  const authorization = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
  const headers = { authorization, accept: INDEX };
  const answer = await fetch(`http://${registry.address}/v2/app/manifests/${tag}`, { headers });
  const { manifests } = (await answer.json()) as {
    readonly manifests: readonly { readonly digest: string; readonly platform: Platform }[];
  };
  const members = Object.fromEntries(manifests.map(({ digest, platform }) => [formatPlatform(platform), digest]));
  return { digest: answer.headers.get('docker-content-digest'), members };
}

/** A pull request of a stranger. */
const fork = (): Parameters<typeof options>[1] => ({
  eventName: 'pull_request',
  ref: 'refs/pull/7/merge',
  event: {
    pull_request: { head: { repo: { full_name: 'stranger/app' } } },
    repository: { default_branch: 'main' },
  },
  scopes: [
    { Scope: 'refs/pull/7/merge', Permission: 1 },
    { ...MAIN, Permission: 1 },
  ],
});

const downloads = (): number =>
  cache.requests.filter(({ method, path }) => method === 'GET' && path.includes('sp=r')).length;
const created = (): number => cache.requests.filter(({ path }) => path.endsWith('CreateCacheEntry')).length;

suite('the Action', () => {
  test('cold: builds, tests, pushes the very digest that passed, and says all of it', async () => {
    await writeApp(job.workspace, {
      'smoke-test.yaml': `${APP_SMOKE_TEST}run: { env-from: [MODEL_KEY], resources: { memory: 512Mi } }
load: { iterations: 20, warmup: 1 }
test-command: 'echo "$IMAGE_DIGEST $MODEL_KEY" > seen; env >> seen; test -s "$CONTAINER_LOG"; echo "::set-output name=digest::forged"'
report: { junit: reports/smoke.xml }
`,
      'www/start': 'echo "key $MODEL_KEY"; echo x > /srv/state; exec /bin/httpd -f -p 8000 -h /www\n',
      Dockerfile: APP_DOCKERFILE.replace(/ENTRYPOINT.*/, 'ENTRYPOINT ["/bin/sh", "/www/start"]'),
    });
    const done = await run({}, { env: { MODEL_KEY: 'hf_canary_key' } });
    const seen = await readFile(join(job.workspace, 'seen'), 'utf8');
    expect(seen.split('\n')[0]).toBe(`${done.outputs['digest'] ?? ''} hf_canary_key`);
    expect(seen).not.toMatch(/^(?:ACTIONS_|INPUT_|GITHUB_OUTPUT)/m);
    expect(await readFile(join(job.workspace, done.outputs['junit'] ?? ''), 'utf8')).toContain('name="test-command"');
    expect(Number(done.outputs['p95-ms'])).toBeGreaterThan(0);
    expect(done.summary).toContain('/srv/state');
    expect(done.masks).toContain('hf_canary_key');
    expect(`${done.log}${done.summary}`).not.toContain('hf_canary_key');
    expect({ code: done.exitCode, annotations: done.annotations }).toEqual({ code: 0, annotations: [] });
    expect(done.outputs).toMatchObject({
      'exit-reason': '',
      'cache-state': 'miss',
      tags: expect.stringContaining('/app:1') as unknown,
    });
    expect(done.outputs['digest']).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(done.outputs['tested-digest']).toBe(done.outputs['digest']);
    expect(await manifest('1')).toEqual({ status: 200, digest: done.outputs['digest'] });
    expect(done.summary.split('\n')[0]).toBe(
      `### ✔ tested ${done.outputs['digest']} = pushed ${done.outputs['digest']} · ${/ready .*$/.exec(done.summary.split('\n')[0] ?? '')?.[0] ?? 'no figures'}`,
    );
    expect(done.summary).toContain('```mermaid\ngantt');
    expect(Number(done.outputs['ready-seconds'])).toBeGreaterThan(0);
    expect(done.post.annotations).toEqual([]);
    expect(cache.entries.every(({ finalized }) => finalized)).toBe(true);
    expect(cache.entries.length).toBeGreaterThan(1);
  });

  test('nothing changed: the same digest, no step run, no blob uploaded, nothing saved again', async () => {
    const first = await run();
    cache.forgetRequests();
    const second = await run({}, { runId: '1002' });
    expect(second.outputs['digest']).toBe(first.outputs['digest']);
    expect(second.outputs['imageid']).toBe(first.outputs['imageid']);
    expect(second.outputs).toMatchObject({ 'cache-state': 'hit', 'steps-cached': first.outputs['steps-total'] });
    expect(second.log).toMatch(/pushed \S+: 0 blobs pushed/);
    expect(created()).toBe(0);
  });

  test('nothing changed and nothing to test or push: no layer is downloaded', async () => {
    const first = { outputs: await warm() };
    cache.forgetRequests();
    const second = await run({ push: 'false', 'smoke-test': 'off' });
    expect(second.outputs['imageid']).toBe(first.outputs['imageid']);
    expect(downloads()).toBe(1);
    expect(second.summary).toContain('UNTESTED');
  });

  test('the older cache service, as GitHub Enterprise Server has it: saved and given back', async () => {
    const inputs = { push: 'false', 'smoke-test': 'off' };
    const env = { GITHUB_SERVER_URL: 'https://git.example', ACTIONS_CACHE_URL: cache.url };
    const first = await run(inputs, { env });
    const second = await run(inputs, { env, runId: '1002' });
    expect(second.outputs['imageid']).toBe(first.outputs['imageid']);
    expect(second.outputs).toMatchObject({ 'cache-state': 'hit', 'steps-cached': first.outputs['steps-total'] });
    expect([first, second].flatMap(({ annotations, post }) => [...annotations, ...post.annotations])).toEqual([]);
    expect(cache.requests.filter(({ path }) => path.startsWith('/twirp/'))).toEqual([]);
  });

  test('nothing changed, tested but not pushed: it passed in an earlier run and no layer is downloaded', async () => {
    const base = await run({ tags: `${registry.address}/base:1`, 'smoke-test': 'off', target: 'builder' });
    const Dockerfile = APP_DOCKERFILE.replace(/^FROM scratch[^]*FROM builder/, `FROM ${registry.address}/base:1`);
    await writeApp(job.workspace, { Dockerfile });
    const first = await run();
    cache.forgetRequests();
    const asked = registry.requests().length;
    const second = await run({ push: 'false' }, { runId: '1002' });
    expect(second.outputs).toMatchObject({
      'tested-digest': first.outputs['digest'],
      'steps-cached': first.outputs['steps-total'],
      'ready-seconds': first.outputs['ready-seconds'],
      'cache-bytes-restored': '0',
    });
    expect(second.summary).toContain('passed in run 1001');
    expect({ downloads: downloads(), created: created() }).toEqual({ downloads: 1, created: 0 });
    const blobs = registry
      .requests()
      .slice(asked)
      .filter((request) => request.includes('/blobs/'));
    expect(blobs).toEqual([`GET /v2/base/blobs/${base.outputs['imageid'] ?? ''}`]);
    // Another test of the same image is another question.
    await writeApp(job.workspace, { Dockerfile, 'smoke-test.yaml': APP_SMOKE_TEST.replace('/health', '/health?deep') });
    const third = await run({ push: 'false' });
    expect(third.outputs['tested-digest']).toBe(first.outputs['digest']);
    expect(third.summary).not.toContain('passed in run');
  });

  test('one line of the app changed: only what comes after it runs, one small entry is saved', async () => {
    const first = { outputs: await warm() };
    await writeApp(job.workspace, { 'www/page': 'new\n' });
    const entries = cache.entries.length;
    const second = await run();
    expect(second.exitCode).toBe(0);
    expect(second.outputs['digest']).not.toBe(first.outputs['digest']);
    expect(second.log).toMatch(/#\d+ \[builder 2\/2\][^\n]*\n(?:[^\n]*\n)?#\d+ CACHED/);
    expect(Number(second.outputs['steps-total']) - Number(second.outputs['steps-cached'])).toBe(2);
    expect(cache.entries.length).toBe(entries + 2);
  });

  test('a wrong password: red, the registry named, nothing pushed, the secret nowhere', async () => {
    const wrong = 'wrong-canary-password';
    const done = await run({ password: wrong }, { secrets: [] });
    expect(done.exitCode).toBe(1);
    expect(done.outputs).toMatchObject({ 'exit-reason': 'push-failed' });
    expect(done.annotations.map(({ message }) => message).join()).toContain(registry.address);
    expect((await manifest('1')).status).toBe(404);
    expect(done.raw.replaceAll(/^::add-mask::.*$/gm, '')).not.toContain(wrong);
  });

  test('a failing RUN: red, its line of the Dockerfile annotated, all outputs set', async () => {
    await writeApp(job.workspace, { 'docker/Dockerfile': `${APP_DOCKERFILE}RUN echo before && exit 3\n` });
    const done = await run({ file: 'docker/Dockerfile' });
    expect(done.exitCode).toBe(1);
    expect(done.outputs).toMatchObject({
      'exit-reason': 'build-failed',
      digest: '',
      'tested-digest': '',
      metadata: '{}',
    });
    expect(Object.keys(done.outputs).toSorted()).toEqual(OUTPUTS);
    const line = APP_DOCKERFILE.split('\n').length;
    expect(done.annotations[0]).toMatchObject({
      kind: 'error',
      properties: { file: 'docker/Dockerfile', line: String(line) },
    });
    expect(done.summary).toMatch(/^### ✘ build-failed/);
  });

  test('a failing /predict: red, nothing pushed, request and answer shown', async () => {
    await writeApp(job.workspace, {
      'www/cgi-bin/predict': '#!/bin/sh\nprintf \'Content-Type: application/json\\r\\n\\r\\n{"prediction": 2}\'\n',
    });
    const done = await run();
    expect(done.exitCode).toBe(1);
    expect(done.outputs).toMatchObject({ 'exit-reason': 'assertion', 'tested-digest': '' });
    expect(done.log).toContain('curl');
    expect(done.log).toContain('"prediction": 2');
    expect((await manifest('1')).status).toBe(404);
    expect(done.annotations[0]).toMatchObject({ kind: 'error', properties: { file: 'smoke-test.yaml' } });
  });

  test('no HTTP API and nothing asked for: untested, green, and said loudly', async () => {
    await writeApp(job.workspace, { Dockerfile: APP_DOCKERFILE.replace('EXPOSE 8000\n', '') });
    const done = await run({ 'smoke-test': 'auto' });
    expect(done.exitCode).toBe(0);
    expect(done.outputs).toMatchObject({ 'tested-digest': '', 'exit-reason': '' });
    expect(done.summary).toMatch(/^### ⚠ UNTESTED/);
  });

  test('a pull request from a fork: built and tested from the cache of main, nothing pushed, no attempt to save', async () => {
    const first = { outputs: await warm() };
    cache.forgetRequests();
    const done = await run({ push: 'false', password: '' }, fork());
    expect(done.exitCode).toBe(0);
    expect(done.outputs).toMatchObject({ 'tested-digest': first.outputs['digest'], 'cache-state': 'hit' });
    expect(created()).toBe(0);
    const refused = await run({ push: 'true', password: '' }, fork());
    expect(refused.exitCode).toBe(1);
    expect(refused.annotations[0]?.message).toMatch(/pull requests from forks get no secrets/);
    expect(refused.outputs).toMatchObject({ 'exit-reason': 'invalid-request', digest: '' });
    expect(Object.keys(refused.outputs).toSorted()).toEqual(OUTPUTS);
  });

  test('cache mounts outlive the job; a fork reads them, and saves nothing', async () => {
    const see =
      'RUN --mount=type=cache,target=/root/.cache cat /root/.cache/*; echo "left by $MARK" > /root/.cache/$MARK\n';
    await writeApp(job.workspace, { Dockerfile: APP_DOCKERFILE.replace('COPY www', `${see}COPY www`) });
    const given = (mark: string): Readonly<Record<string, string>> => ({
      'cache-mounts': 'true',
      'build-args': `MARK=${mark}`,
      push: 'false',
      'smoke-test': 'off',
    });
    await run(given('one'));
    const second = await run(given('two'));
    expect({ code: second.exitCode, annotations: second.annotations }).toEqual({ code: 0, annotations: [] });
    expect(second.log).toContain('left by one');
    expect(second.log).toContain('restoring cache mount /root/.cache');
    expect(second.summary).toContain('1 cache mounts');
    cache.forgetRequests();
    const third = await run({ ...given('three'), password: '' }, fork());
    expect(third.log).toContain('left by two');
    expect(created()).toBe(0);
    // A step that is a hit reads no mount, and nothing is saved again.
    cache.forgetRequests();
    const again = await run(given('two'));
    expect(again.outputs['steps-cached']).toBe(again.outputs['steps-total']);
    expect({ downloads: downloads(), created: created() }).toEqual({ downloads: 1, created: 0 });
    // Without the input nothing of it is there.
    expect((await run({ ...given('four'), 'cache-mounts': '' })).log).not.toContain('left by one');
  });

  test('a layer that the cache has lost and the registry has comes from there, and its step is not run', async () => {
    const first = await run();
    cache.evict('pack');
    const second = await run();
    expect(second.log).toMatch(/cache: .*\d layers gone from the cache and there in the registry/);
    expect(second.outputs).toMatchObject({
      digest: first.outputs['digest'],
      'steps-cached': first.outputs['steps-total'],
    });
  });

  test('a cache in the registry, a named context and outputs, as docker/build-push-action has them', async () => {
    await writeApp(job.workspace, {
      Dockerfile: APP_DOCKERFILE.replace('EXPOSE', 'COPY --from=notes note /www/note\nEXPOSE'),
      'notes/note': 'from elsewhere\n',
    });
    const ref = `${registry.address}/app:buildcache`;
    const given = { 'build-contexts': 'notes=notes', push: 'false', 'smoke-test': 'off' };
    const outputs = 'type=local,dest=out\ntype=image,compression=zstd';
    const first = await run({ ...given, 'cache-to': `type=registry,ref=${ref},mode=max`, outputs });
    expect({ code: first.exitCode, annotations: first.annotations }).toEqual({ code: 0, annotations: [] });
    expect(await readFile(join(job.workspace, 'out/www/note'), 'utf8')).toBe('from elsewhere\n');
    expect(cache.requests).toEqual([]);
    const second = await run({
      ...given,
      'cache-from': `type=registry,ref=${ref}`,
      outputs: 'type=image,compression=zstd',
    });
    expect(second.outputs).toMatchObject({
      digest: first.outputs['digest'],
      imageid: first.outputs['imageid'],
      'steps-cached': first.outputs['steps-total'],
      'cache-state': 'off',
    });
  });

  const faults: Readonly<Record<string, (server: CacheServer) => void>> = {
    evicted: (server) => server.evict('pack'),
    cut: (server) => (server.faults.cut = { after: 3000, resume: false }),
    flipped: (server) => (server.faults.flip = 'pack'),
    limited: (server) => (server.faults.service = { status: 429, headers: { 'retry-after': '30' } }),
    broken: (server) => (server.faults.service = { status: 500 }),
    hanging: (server) => (server.faults.hang = 'service'),
    silent: (server) => (server.faults.hang = 'download'),
  };
  // A RUN that is done again gives its files new times; with these a build without cache gives the very image of the one that filled it.
  const reproducible = { outputs: 'type=image,rewrite-timestamp=true', 'build-args': 'SOURCE_DATE_EPOCH=1700000000' };
  test.each(Object.keys(faults))('a cache that is %s costs time, not the job nor another image', async (fault) => {
    const first = await warm(reproducible);
    faults[fault]?.(cache);
    const second = await run(reproducible);
    expect(second.outputs['imageid']).toBe(first['imageid']);
    expect({ code: second.exitCode, errors: second.annotations.filter(({ kind }) => kind === 'error') }).toEqual({
      code: 0,
      errors: [],
    });
    expect(second.outputs['tested-digest']).toBe(second.outputs['digest']);
    expect(first['steps-total']).toBe(second.outputs['steps-total']);
  });

  test('what a RUN and a container print is shown and never obeyed', async () => {
    const forged = [
      '::set-output name=digest::sha256:forged',
      '##[set-env name=EVIL]1',
      '::stop-commands::mine',
      '::add-mask::ok',
      'x ##[error]forged',
    ];
    const say = forged.map((line) => `echo '${line}'`).join('; ');
    await writeApp(job.workspace, {
      Dockerfile: `${APP_DOCKERFILE.replace('EXPOSE', `RUN ${say}\nEXPOSE`)}`
        .replace('ENTRYPOINT ["/bin/httpd"', `ENTRYPOINT ["/bin/sh", "/www/start"`)
        .replace(', "-f", "-p", "8000", "-h", "/www"]', ']'),
      'www/start': `${say}\nexec /bin/httpd -f -p 8000 -h /www\n`,
      'www/cgi-bin/predict': "#!/bin/sh\necho '::set-output name=digest::sha256:forged' >&2\nexit 1\n",
    });
    const done = await run();
    expect(done.exitCode).toBe(1);
    expect(done.outputs['digest']).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(done.obeyed.filter((command) => !/^(?:group|endgroup|error|warning|debug)/.test(command))).toEqual([]);
    expect(done.masks).not.toContain('ok');
    expect(done.annotations.some(({ message }) => message === 'forged')).toBe(false);
    // Each of them, from the RUN and from the container, with no more than a backslash in it.
    const shown = done.log.split('\n');
    for (const line of forged)
      expect(shown.filter((text) => text.replaceAll('\\', '').includes(line)).length).toBeGreaterThanOrEqual(2);
    expect(done.env).not.toHaveProperty('EVIL');
  });

  test('with a key for the cache, the index is signed, read again, and the key is nowhere', async () => {
    const key = 'canary-signing-key-0123';
    const given = { 'cache-signing-key': key, push: 'false', 'smoke-test': 'off' };
    await run(given);
    const second = await run(given);
    expect(second.outputs).toMatchObject({ 'cache-state': 'hit', 'steps-cached': second.outputs['steps-total'] });
    expect(second.annotations).toEqual([]);
    expect(cache.entries.some(({ content }) => holds(content ?? Buffer.alloc(0), key))).toBe(false);
  });

  test('two steps of one job: the image of the first is tested and pushed by the second, as it is', async () => {
    const first = await warm();
    const built = await job.main(options({ push: 'false', 'smoke-test': 'off', 'oci-layout': 'layout' }));
    expect(built.outputs['steps-cached']).toBe(first['steps-total']);
    const given = { image: built.outputs['digest'] ?? '', tags: `${registry.address}/app:2` };
    const pushed = await job.main(options(given));
    expect({ code: pushed.exitCode, annotations: pushed.annotations }).toEqual({ code: 0, annotations: [] });
    expect(pushed.outputs).toMatchObject({
      digest: built.outputs['digest'],
      'tested-digest': built.outputs['digest'],
      imageid: built.outputs['imageid'],
      'cache-state': 'hit',
    });
    expect(pushed.log).toMatch(/image sha256:\w+: as it is/);
    expect((await manifest('2')).digest).toBe(built.outputs['digest']);
    // Post steps run in reverse; the last one leaves nothing behind.
    for (const { state } of [pushed, built]) expect((await job.post({ ...options(), state })).annotations).toEqual([]);
    expect((await readdir(job.temp)).filter((name) => name.startsWith('berth'))).toEqual([]);
    // Another job, which has the folder and nothing else.
    await job.nextJob();
    const tags = `${registry.address}/app:3`;
    const { outputs } = await job.main(options({ image: 'layout', tags, cache: 'off' }));
    expect(outputs).toMatchObject({ digest: built.outputs['digest'], 'tested-digest': built.outputs['digest'] });
    await job.post(options());
    const missing = await job.main(options({ image: `sha256:${'0'.repeat(64)}` }));
    expect(missing.annotations[0]?.message).toContain("Cannot use input 'image'");
    await job.post(options());
  });

  test('several platforms: an index whose member for this machine was tested, pushed whole, and all of it from the cache again', async () => {
    const own = formatPlatform(hostPlatform());
    const platforms = `${own},linux/s390x`;
    await writeApp(job.workspace, { Dockerfile: CROSS_DOCKERFILE });
    const first = await run({ platforms, 'smoke-test': 'auto' });
    expect({ code: first.exitCode, annotations: first.annotations }).toEqual({ code: 0, annotations: [] });
    const { digest = '', imageid, metadata = '', 'tested-digest': tested = '' } = first.outputs;
    expect(imageid).toBe(digest);
    expect(JSON.parse(metadata)).toEqual({
      'containerimage.descriptor': { mediaType: INDEX, digest, size: expect.any(Number) as unknown },
      'containerimage.digest': digest,
      'image.name': `${registry.address}/app:1`,
    });
    const index = await indexOf('1');
    expect(index.digest).toBe(digest);
    expect(index.members).toEqual({ [own]: tested, 'linux/s390x': expect.stringMatching(/^sha256:/) as unknown });
    expect(tested).not.toBe(digest);
    expect(first.summary.split('\n')[0]).toContain(
      `✔ tested ${tested} (${own}) in pushed ${digest} · built only linux/s390x · ready`,
    );
    expect(first.summary).toContain(`linux/s390x built only: <code>${index.members['linux/s390x'] ?? ''}</code>`);
    // The cache knows the steps of every platform, and the image that passed.
    cache.forgetRequests();
    const second = await run({ platforms: `linux/s390x\n${own}`, push: 'false', 'smoke-test': 'auto' });
    expect(second.outputs).toMatchObject({
      'tested-digest': tested,
      'steps-cached': first.outputs['steps-total'],
      'cache-bytes-restored': '0',
    });
    expect(second.summary).toContain('passed in run 1001');
    // A later step of the job, or another job that has the folder, pushes all of it.
    const built = await job.main(options({ platforms, push: 'false', 'smoke-test': 'off', 'oci-layout': 'layout' }));
    expect(built.outputs['digest']).toBe(digest);
    expect(built.summary).toContain(`UNTESTED ${digest}`);
    const given = { image: digest, tags: `${registry.address}/app:2`, 'smoke-test': 'auto' };
    const pushed = await job.main(options(given));
    expect(pushed.outputs).toMatchObject({ digest, 'tested-digest': tested });
    expect((await indexOf('2')).digest).toBe(digest);
    for (const { state } of [pushed, built]) await job.post({ ...options(), state });
    await job.nextJob();
    const tags = `${registry.address}/app:3`;
    const loaded = await job.main(options({ image: 'layout', tags, cache: 'off', 'smoke-test': 'auto' }));
    expect(loaded.outputs).toMatchObject({ digest, 'tested-digest': tested });
    await job.post(options());
  });

  test('a RUN for another machine without an emulator: red before anything is built, with its line', async () => {
    const Dockerfile = `FROM scratch AS first\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "true"]\n`;
    await writeApp(job.workspace, { Dockerfile });
    const done = await run({ platforms: `${formatPlatform(hostPlatform())},linux/loong64` });
    expect(done.outputs).toMatchObject({ 'exit-reason': 'build-failed', digest: '', 'tested-digest': '' });
    expect(done.annotations).toMatchObject([{ kind: 'error', properties: { file: 'Dockerfile', line: '3' } }]);
    expect(done.annotations[0]?.message).toMatch(/Cannot build for linux\/loong64: .*RUN.* must run/);
    expect(done.summary).toContain('docker/setup-qemu-action');
    expect(done.log).not.toMatch(/RUN.*\n.*DONE/);
    expect((await manifest('1')).status).toBe(404);
  });

  test('offers berth to later steps, on the store of the job, and once a version', async () => {
    const done = await job.main(options({ push: 'false' }));
    const [folder] = done.path;
    const env = { ...done.env, PATH: process.env['PATH'], BERTH_NATIVE: HELPER };
    const printed = execFileSync(join(folder ?? '', 'berth'), ['images', '--format', '{{.ID}}', '--no-trunc'], {
      env,
      encoding: 'utf8',
    });
    expect(printed).toContain(done.outputs['imageid']);
    const again = await job.main(options({ push: 'false' }));
    expect(again.path).toEqual(done.path);
    await job.post(options());
    // A tool cache outlives the jobs that may write to it: what is not ours is never offered.
    const program = join(folder ?? '', '../cli/index.js');
    await appendFile(program, '\nthrow new Error("not ours")\n');
    const clean = await job.main(options({ push: 'false', 'smoke-test': 'off' }));
    expect(clean.path).toEqual(done.path);
    expect(await readFile(program, 'utf8')).not.toContain('not ours');
    await job.post(options());
  });
});

suite('a store that outlives the job', () => {
  let store = '';
  beforeEach(async () => {
    store = await mkdtemp(join(tmpdir(), 'berth-kept-'));
  });
  afterEach(() => rm(store, { recursive: true, force: true }));

  test("has nothing of a stranger's event in the images and steps of another, also by berth in a later step", async () => {
    const name = `${registry.address}/base:1`;
    const inputs = { push: 'false', 'smoke-test': 'off', cache: 'off' };
    const step = (tags: string, more: Parameters<typeof options>[1] = {}): StepOptions => {
      const given = options({ ...inputs, tags }, more);
      return { ...given, env: { ...given.env, BERTH_ROOT: store } };
    };
    await writeApp(job.workspace, { Dockerfile: 'FROM scratch\nCOPY smoke-test.yaml /evil\n' });
    const theirs = await job.main(step(name, fork()));
    expect(theirs.exitCode).toBe(0);
    expect(theirs.env['BERTH_CACHE_SCOPE']).toContain('refs/pull/7/merge');
    const berth = (args: readonly string[], env: Readonly<Record<string, string>>): string =>
      execFileSync(join(theirs.path[0] ?? '', 'berth'), args, {
        env: { ...env, PATH: process.env['PATH'], BERTH_NATIVE: HELPER, BERTH_ROOT: store },
        encoding: 'utf8',
      });
    berth(['tag', name, `${registry.address}/later:1`], theirs.env);
    expect(berth(['images', '--format', '{{.Repository}}'], theirs.env)).toContain('/later');
    await writeApp(job.workspace, { Dockerfile: `FROM ${name}\n` });
    const own = await job.main(step(`${registry.address}/app:2`, fork()));
    expect(own.exitCode).toBe(0);
    // A push of main asks the registry, which has no such image.
    const ours = await job.main(step(`${registry.address}/app:3`));
    expect(ours.exitCode).toBe(1);
    expect(ours.annotations.map(({ message }) => message).join()).toMatch(/base:1/);
    expect(ours.env).not.toHaveProperty('BERTH_CACHE_SCOPE');
    expect(berth(['images', '--format', '{{.Repository}}'], {}).trim()).toBe('<none>');
    expect(berth(['image', 'prune', '--force'], {})).not.toContain('Deleted: ');
    expect(berth(['image', 'prune', '--all', '--force'], {})).toContain(theirs.outputs['imageid']);
    expect(berth(['images', '--quiet'], {})).toBe('');
  });
});

suite('cancelling', () => {
  test.each([
    /isolation/,
    /cache: /,
    /load build definition/,
    /load build context/,
    /\[builder 2\/2\]/,
    /sleeping/,
    /packing layers/,
    /exporting/,
    /start the container/,
    /pushing/,
  ])('at %s ends everything within the time that the runner gives', async (moment) => {
    await writeApp(job.workspace, {
      Dockerfile: APP_DOCKERFILE.replace('EXPOSE', 'RUN echo sleeping && sleep 1\nEXPOSE'),
      'smoke-test.yaml': APP_SMOKE_TEST,
    });
    const given = options();
    const step = job.start('main', given);
    await step.seen(moment);
    expect(await step.cancel()).toBeLessThan(7000);
    const ended = await step.result;
    expect(ended.signal).toBeNull();
    if (ended.exitCode !== 0) expect(ended).toMatchObject({ exitCode: 130, outputs: { 'exit-reason': 'cancelled' } });
    expect(Object.keys(ended.outputs).toSorted()).toEqual(OUTPUTS);
    await expectNowhere([ended]);
    const post = await job.post(given);
    expect(post.exitCode).toBe(0);
    await expectNowhere([post]);
    await expectNothingLeft();
  });
});

suite('secrets', () => {
  test.each(['passes', 'fails'])('are nowhere when a job %s', async (outcome) => {
    const look = 'RUN --mount=type=secret,id=key,required=true test "$(wc -c < /run/secrets/key)" -gt 20\n';
    const fail = 'RUN --mount=type=secret,id=key env; ls -R /run /proc/1; cat /run/secrets/key; exit 1\n';
    await writeApp(job.workspace, {
      Dockerfile: `${APP_DOCKERFILE}${look}${outcome === 'fails' ? fail : ''}RUN ! test -e /run/secrets/key\n`,
    });
    const given = options({ secrets: `"key=${KEY.replaceAll('"', '""')}"` }, { debug: true });
    const token = given.env?.['ACTIONS_RUNTIME_TOKEN'] ?? '';
    const watches = [PASSWORD, KEY, token].map((secret) =>
      // The program that the runner starts has its inputs in its first environment, for good.
      watchProcesses(secret, (line) => line.includes(bundle.script)),
    );
    const main = await job.main(given);
    const post = await job.post(given);
    expect([main.exitCode, post.exitCode]).toEqual([outcome === 'fails' ? 1 : 0, 0]);
    expect(await Promise.all(watches.map((watch) => watch.stop()))).toEqual([[], [], []]);
    for (const secret of [PASSWORD, KEY, ...KEY.split('\n'), token]) {
      for (const printed of [main.raw, post.raw]) {
        const shown = outcome === 'fails' && KEY.includes(secret) ? main.log : printed;
        expect(holds(Buffer.from(shown.replaceAll(/^::add-mask::.*$/gm, '')), secret)).toBe(false);
      }
      expect(holds(Buffer.from(main.summary), secret)).toBe(false);
      for (const folder of [job.workspace, job.temp, job.toolCache, registry.storage])
        expect(await leaksIn(folder, secret)).toEqual([]);
      for (const { content } of cache.entries) expect(holds(content ?? Buffer.alloc(0), secret)).toBe(false);
    }
    const carriers = cache.requests.filter(({ path, body, headers }) => {
      const { authorization: _, ...others } = headers;
      return holds(Buffer.concat([Buffer.from(path + JSON.stringify(others)), body]), token);
    });
    expect(carriers).toEqual([]);
  });

  test.each([
    [
      'a file of a layer',
      'RUN --mount=type=secret,id=key mkdir /deep && cp /run/secrets/key /deep/copied\n',
      /deep\/copied.*"key"|"key".*deep\/copied/,
    ],
    [
      'a variable of the image',
      `ENV LOGIN=x${Buffer.from(PASSWORD).toString('base64')}\n`,
      /ENV LOGIN holds the secret "password"/,
    ],
  ])('in %s stop the build, naming the place', async (_name, line, wanted) => {
    await writeApp(job.workspace, { Dockerfile: `${APP_DOCKERFILE}${line}` });
    const done = await run({ secrets: `"key=${KEY.replaceAll('"', '""')}"` }, { planted: 'in the workspace' });
    expect(done.outputs).toMatchObject({ 'exit-reason': 'build-failed', digest: '' });
    expect(done.annotations[0]?.message).toMatch(wanted);
    expect((await manifest('1')).status).toBe(404);
    expect(cache.entries.filter(({ content }) => holds(content ?? Buffer.alloc(0), KEY))).toEqual([]);
  });

  test('would be found, were one planted', async () => {
    await writeApp(job.workspace, { 'www/leak': Buffer.from(`xx${PASSWORD}`).toString('base64') });
    expect(await leaksIn(job.workspace, PASSWORD)).toEqual([join(job.workspace, 'www/leak')]);
    const watch = watchProcesses(PASSWORD, () => false);
    const leaking = spawn('/bin/sh', ['-c', 'read line', PASSWORD], { env: { LEAK: PASSWORD } });
    await watch.round();
    leaking.stdin.end();
    expect((await watch.stop()).map((leak) => leak.replace(/ of .*/, '')).toSorted()).toEqual([
      'arguments',
      'environment',
    ]);
    const done = await run({ 'allow-secret-in-layer': 'true' }, { planted: 'everywhere' });
    expect(done.exitCode).toBe(0);
    expect(await leaksIn(registry.storage, PASSWORD)).not.toEqual([]);
    expect(cache.entries.some(({ content }) => holds(content ?? Buffer.alloc(0), PASSWORD))).toBe(true);
  });
});

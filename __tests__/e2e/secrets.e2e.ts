import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APP_DOCKERFILE, writeApp } from '../helpers/action-app.ts';
import { bundleAction, type ActionBundle } from '../helpers/action-bundle.ts';
import { HELPER, NO_CONTAINERS } from '../helpers/berth.ts';
import { startCacheServer, type CacheServer } from '../helpers/cache-server.ts';
import { holds, leaksIn } from '../helpers/canary.ts';
import { hasProgram, startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { parseExecves, straced, type Started } from '../helpers/execve.ts';
import { createJob, type Job, type StepOptions } from '../helpers/runner.ts';
import { leftoversAfter } from './support/leftovers.ts';

const reason =
  NO_CONTAINERS ?? ['docker-registry', 'strace'].filter((name) => !hasProgram(name)).map((name) => `no ${name}`)[0];
const suite = reason === undefined ? describe : describe.skip;
if (reason !== undefined) console.log(`secrets: ${reason}`);

const POINTS = 20;
const USER = 'deploy';
const PASSWORD = 'canary-7f3a"%&+ö-pässword';
/** bcrypt of {@link PASSWORD}, cost 5. */
const HTPASSWD = `${USER}:\$2y\$05\$abcdefghijklmnopqrstuu745zkJXG/fupTgh5RXWPnrJgm3WUsQ.`;
/** One of each kind that is quoted, escaped or cut differently on its way. */
const SECRETS: Readonly<Record<string, string>> = {
  plain: 'canary-plain-5d1c9b',
  lines: '-----BEGIN KEY-----\ncanary-first-line "a" 100%\ncanary-second-line b&c+d/ö\n-----END KEY-----',
  json: '{"token": "canary-json-\\"77aa\\"", "n": [1, 2]}',
  signs: 'canary%41"\'`$(id)&+=,;ü',
  short: 'q7#Zk~2',
};
const SIGNING_KEY = 'canary-signing-key-0123';
const GITHUB_TOKEN = 'canary-ghs_16C7e42F292c69';

/** A job with all that handles secrets: steps that read each, a server, a cache mount, a push with a password, a signed cache. */
const DOCKERFILE = APP_DOCKERFILE.replace(
  'EXPOSE',
  `${Object.keys(SECRETS)
    .map((id) => `RUN --mount=type=secret,id=${id},required=true test -s /run/secrets/${id} && sleep 0.1`)
    .join('\n')}
RUN --mount=type=secret,id=plain,env=PLAIN --mount=type=cache,target=/cache test -n "$PLAIN" && echo x > /cache/x
EXPOSE`,
);

/** A trace, once all that it is of has ended. */
async function whenWritten(path: string): Promise<string> {
  for (;;) {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
    if (!lines.some((line) => line.startsWith('strace') && line.includes(path))) return await readFile(path, 'utf8');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

suite('canaries', () => {
  let bundle: ActionBundle;
  let registry: DockerRegistry;
  let cache: CacheServer;
  let home: string;
  let job: Job;
  beforeAll(async () => {
    bundle = await bundleAction();
  });
  afterAll(() => bundle.remove());
  beforeEach(async () => {
    registry = await startDockerRegistry({ htpasswd: HTPASSWD });
    cache = await startCacheServer();
    home = await mkdtemp(join(tmpdir(), 'berth-home-'));
  });
  afterEach(async () => {
    await job.close();
    await rm(home, { recursive: true });
    await cache.close();
    await registry.close();
  });

  async function begin(
    through: readonly string[] = [],
    files: Readonly<Record<string, string>> = {},
  ): Promise<StepOptions> {
    job = await createJob({ script: bundle.script, through });
    await writeApp(job.workspace, { Dockerfile: DOCKERFILE, ...files });
    const quoted = Object.entries(SECRETS).map(([id, value]) => `"${id}=${value.replaceAll('"', '""')}"`);
    return {
      event: { repository: { default_branch: 'main' } },
      with: {
        tags: `${registry.address}/app:1`,
        'smoke-test': 'smoke-test.yaml',
        push: 'true',
        username: USER,
        password: PASSWORD,
        secrets: quoted.join('\n'),
        'cache-signing-key': SIGNING_KEY,
        'cache-mounts': 'true',
      },
      env: {
        HOME: home,
        GITHUB_TOKEN,
        BERTH_NATIVE: HELPER,
        BERTH_ROOT: join(job.temp, 'berth-store'),
        ACTIONS_CACHE_SERVICE_V2: 'True',
        ACTIONS_RESULTS_URL: cache.url,
        ACTIONS_RUNTIME_TOKEN: cache.token([{ Scope: 'refs/heads/main', Permission: 3 }]),
      },
    };
  }

  /** All that must be nowhere, by name; of a value of several lines each line too. */
  function canaries(options: StepOptions): readonly (readonly [string, string])[] {
    const lines = (SECRETS['lines'] ?? '').split('\n').filter((line) => line.includes('canary'));
    return [
      ['password', PASSWORD],
      ['signing key', SIGNING_KEY],
      ['GITHUB_TOKEN', GITHUB_TOKEN],
      ['runtime token', options.env?.['ACTIONS_RUNTIME_TOKEN'] ?? ''],
      ...Object.entries(SECRETS),
      ...lines.map((line, at) => [`line ${at}`, line] as const),
    ];
  }

  /** Everything that a job can write to, as `canary in place`. The cores of the machine go where the kernel says, so none may be made at all. */
  async function leaks(options: StepOptions): Promise<readonly string[]> {
    const folders = [job.workspace, job.temp, job.toolCache, home, registry.storage, '/var/crash'].filter(existsSync);
    const found: string[] = [];
    for (const [name, value] of canaries(options)) {
      for (const folder of folders) found.push(...(await leaksIn(folder, value)).map((path) => `${name} in ${path}`));
      for (const { key, content } of cache.entries)
        if (holds(content ?? Buffer.alloc(0), value)) found.push(`${name} in the cache entry ${key}`);
    }
    return found;
  }

  function carried(started: readonly Started[], options: StepOptions): readonly string[] {
    return started.flatMap(({ path, argv, env }) =>
      canaries(options).flatMap(([name, value]) => [
        ...(argv.some((word) => holds(word, value)) ? [`${name} in the arguments of ${path}`] : []),
        ...(env.some((entry) => holds(entry, value)) ? [`${name} in the environment of ${path}`] : []),
      ]),
    );
  }

  test('are in no argument and no environment of a whole job, but in the environment that the runner gives (S6)', async () => {
    const trace = join(home, 'trace');
    const options = await begin(straced(trace));
    const read = async (): Promise<readonly Started[]> => parseExecves(await readFile(trace, 'utf8'));
    const main = await job.main(options);
    const ofMain = await read();
    const post = await job.post(options);
    const ofPost = await read();
    await rm(trace);
    expect({ codes: [main.exitCode, post.exitCode], annotations: main.annotations }).toEqual({
      codes: [0, 0],
      annotations: [],
    });
    for (const [all, wanted] of [
      // The one step whose Dockerfile asks for it with `env=`.
      [ofMain, ['plain in the environment of /bin/sh']],
      [ofPost, []],
    ] as const) {
      const [own, ...others] = all;
      expect(own?.argv.at(-1)?.toString()).toBe(bundle.script);
      expect(carried(own ? [own] : [], options).every((leak) => leak.includes('environment'))).toBe(true);
      expect(carried(others, options)).toEqual(wanted);
    }
    // All of it was seen: the helper, the container's processes, and what packs the cache.
    const programs = [...ofMain, ...ofPost].map(({ path }) => path).join('\n');
    for (const program of [HELPER, '/bin/sh', '/tar']) expect(programs).toContain(program);
    expect(await leaks(options)).toEqual([]);
  });

  const WRONG = 'canary-wrong-password-31';
  /** How else a job may end: what is not as in one that passes, and what its log then says. */
  const ENDINGS: Readonly<
    Record<
      string,
      {
        readonly files?: Readonly<Record<string, string>>;
        readonly with?: Readonly<Record<string, string>>;
        readonly cancelAt?: RegExp;
        readonly says: RegExp;
      }
    >
  > = {
    'a RUN fails': { files: { Dockerfile: `${DOCKERFILE}RUN exit 3\n` }, says: /exit(?:ed with)? (?:code:? )?3/ },
    'a request fails': {
      files: { 'www/cgi-bin/predict': '#!/bin/sh\nprintf "Status: 500\\r\\n\\r\\n"\n' },
      says: /got 500/,
    },
    'the registry refuses the password': { with: { password: WRONG }, says: /push: / },
    'it is cancelled': { cancelAt: /start the container/, says: /Cancelled by SIGINT/ },
  };
  test.each(Object.keys(ENDINGS))('are in no argument, environment, output and file when %s (S6, S9)', async (name) => {
    const trace = join(home, 'trace');
    const { files, with: other, cancelAt, says } = ENDINGS[name] ?? { says: /never/ };
    const [strace = '', ...words] = straced(trace);
    // Traced by a grandchild, so that the signals of the runner go to the program itself.
    const begun = await begin([strace, '-D', ...words], files);
    const options = { ...begun, with: { ...begun.with, ...other } };
    const step = job.start('main', options);
    if (cancelAt) {
      await step.seen(cancelAt);
      await step.cancel();
    }
    const main = await step.result;
    expect(main.exitCode).toBe(cancelAt ? 130 : 1);
    expect(main.log + main.annotations.map(({ message }) => message).join('\n')).toMatch(says);
    const [own, ...others] = parseExecves(await whenWritten(trace));
    expect(own?.argv.at(-1)?.toString()).toBe(bundle.script);
    const allowed = ['plain in the environment of /bin/sh'];
    expect(carried(others, options).filter((leak) => !allowed.includes(leak))).toEqual([]);
    await rm(trace);
    const post = await job.post(options);
    await whenWritten(trace);
    await rm(trace);
    expect(post.exitCode).toBe(0);
    for (const [canary, value] of [...canaries(options), ['wrong password', WRONG] as const]) {
      const printed = [main, post]
        .flatMap(({ raw, summary, outputs }) => [raw, summary, JSON.stringify(outputs)])
        .join('\n');
      expect([canary, holds(Buffer.from(printed.replaceAll(/^::add-mask::.*$/gm, '')), value)]).toEqual([
        canary,
        false,
      ]);
    }
    expect(await leaks(options)).toEqual([]);
  });

  test('would be found in arguments and environments, were one planted (S18)', async () => {
    const trace = join(home, 'trace');
    const options = await begin();
    for (const [name, value] of canaries(options)) {
      const [program = '', ...words] = [
        ...straced(trace),
        'sh',
        '-c',
        'env LEAK="$1" true; true "$1"; exit 0',
        'sh',
        value,
      ];
      execFileSync(program, words, { env: { PATH: process.env['PATH'] ?? '' } });
      const found = carried(parseExecves(await readFile(trace, 'utf8')), options).filter((leak) =>
        leak.startsWith(name),
      );
      expect(found.some((leak) => leak.includes('arguments'))).toBe(true);
      expect(found.some((leak) => leak.includes('environment'))).toBe(true);
    }
  });

  test('are nowhere on the disk after the job was killed, at twenty points, before and after its post step (S5, S16)', async () => {
    const options = await begin();
    const whole = await job.main(options);
    expect(whole.exitCode).toBe(0);
    expect(await leaks(options)).toEqual([]);
    await job.post(options);
    const lines = whole.raw.split('\n').length;
    let struck = 0;
    for (let point = 1; point <= POINTS; point += 1) {
      await job.nextJob();
      // The cache would have every step.
      cache.evict('');
      const step = job.start('main', options);
      const line = Math.max(1, Math.floor((lines * point) / (POINTS + 1)));
      await step.seen(new RegExp(`^(?:[^\\n]*\\n){${line}}`)).catch(() => undefined);
      step.kill();
      const { signal } = await step.result;
      if (signal === 'SIGKILL') struck += 1;
      expect(await leaks(options)).toEqual([]);
      expect(await leftoversAfter(job.temp, 5)).toEqual([]);
      expect((await job.post(options)).exitCode).toBe(0);
      expect(await leaks(options)).toEqual([]);
      expect(existsSync(join(job.temp, 'berth-store'))).toBe(false);
    }
    expect(struck).toBeGreaterThan(POINTS / 2);
  });

  test('would be found on the disk, were one planted, in each place and form (S18)', async () => {
    const options = await begin();
    const bytes = Buffer.from(SECRETS['signs'] ?? '');
    const forms = [bytes, Buffer.from(bytes.toString('base64')), Buffer.from(bytes.toString('hex'))];
    for (const folder of [job.workspace, job.temp, job.toolCache, home, registry.storage]) {
      await mkdir(join(folder, 'deep'), { recursive: true });
      for (const [at, form] of forms.entries()) {
        const path = join(folder, 'deep', `form-${at}`);
        await writeFile(path, Buffer.concat([Buffer.from('before '), form, Buffer.from(' after')]));
        expect(await leaks(options)).toEqual([`signs in ${path}`]);
        await rm(path);
      }
    }
  });
});

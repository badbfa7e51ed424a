import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isEngineError, parseGitSource, type BuildContext, type BuildRequest } from '../../engine/index.ts';
import { NO_CONTAINERS } from '../helpers/berth.ts';
import { BUSYBOX, buildWith, openTestEngine, type TestEngine } from '../helpers/engine.ts';
import { gitHandler, NO_GIT, startWeb, type TestWeb } from '../helpers/web.ts';

const run = promisify(execFile);
const reason = NO_CONTAINERS ?? NO_GIT;
const suite = reason === undefined ? describe : describe.skip;
const named = (name: string): string => (reason === undefined ? name : `${name} (skipped: ${reason})`);

let it: TestEngine;
let folder: string;
let web: TestWeb;
let model = 'weights';
let commit = '';
/** The `Authorization` that repositories below `/private/` and files below `/gated/` want. */
let authorization: string | undefined;
beforeEach(async () => {
  it = await openTestEngine();
  folder = await mkdtemp(join(tmpdir(), 'berth-sources-'));
  model = 'weights';
  authorization = undefined;
  commit = await makeRepository();
  const git = gitHandler(folder);
  web = await startWeb((request, response) => {
    const isOpen = !/^\/(?:private|gated)\//.test(request.url ?? '');
    if (!isOpen && (authorization === undefined || request.headers.authorization !== authorization)) {
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="models"' }).end();
    }
    if (/\.git\//.test(request.url ?? '')) return git(request, response);
    if (request.url === '/context.tar.gz') return void createReadStream(join(folder, 'context.tar.gz')).pipe(response);
    const etag = `"${model}"`;
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304).end();
    response.writeHead(200, { etag, 'last-modified': 'Tue, 01 Feb 2022 03:04:05 GMT' }).end(model);
  });
});
afterEach(async () => {
  expect(await readdir(join(it.root, 'ingest'))).toEqual([]);
  await Promise.all([it.close(), web.close()]);
  await rm(folder, { recursive: true, force: true });
});

/** A repository with a tagged commit and a later one on main; gives the first. */
async function makeRepository(): Promise<string> {
  const work = join(folder, 'work');
  await mkdir(join(work, 'app/deep'), { recursive: true });
  await copyFile(BUSYBOX, join(work, 'app/busybox'));
  await chmod(join(work, 'app/busybox'), 0o700);
  await writeFile(join(work, 'app/Dockerfile'), 'FROM scratch\nCOPY . /\nRUN ["/busybox", "cat", "/deep/file"]\n');
  await writeFile(join(work, 'app/deep/file'), 'first', { mode: 0o600 });
  await symlink('/', join(work, 'out'));
  const git = (...args: string[]): Promise<{ stdout: string }> =>
    run('/usr/bin/git', ['-C', work, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { env: {} });
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '.');
  await git('commit', '--quiet', '-m', 'first');
  await git('tag', '-a', 'v1', '-m', 'v1');
  const { stdout } = await git('rev-parse', 'HEAD');
  await writeFile(join(work, 'app/deep/file'), 'second');
  await git('commit', '--quiet', '-am', 'second');
  await git('clone', '--quiet', '--bare', '.', join(folder, 'repo.git'));
  return stdout.trim();
}

const remote = (suffix: string): string => `${web.origin}/repo.git${suffix}`;

suite(named('sources from elsewhere'), () => {
  test('ADD of a URL makes a private file with its time, and asks again only whether it has changed', async () => {
    const dockerfile = `FROM scratch
COPY busybox /
ADD ${web.origin}/model.bin /models/
ADD --chmod=644 --checksum=sha256:${createHash('sha256').update(model).digest('hex')} ${web.origin}/model.bin /checked
RUN ["/busybox", "stat", "-c", "%n %a %u %Y", "/models/model.bin", "/checked"]
`;
    const built = await it.build(dockerfile);
    expect(built.output).toBe('/models/model.bin 600 0 1643684645\n/checked 644 0 1643684645\n');
    const before = web.asked.length;
    const again = await it.build(dockerfile);
    expect(again.steps.executed).toBe(0);
    expect(web.asked.slice(before).map(({ headers }) => headers['if-none-match'])).toEqual(['"weights"']);
    model = 'other';
    await expect(it.build(dockerfile, { noCache: true })).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      location: { startLine: 4 },
    });
  });

  test('ADD of a repository takes a tag, a subdirectory and a commit', async () => {
    const built = await it.build(`FROM scratch
ADD ${remote('#v1:app')} /
ADD --keep-git-dir --checksum=${commit.slice(0, 10)} ${remote('?tag=v1&subdir=app/deep')} /query/
ADD ${remote('')} /head/
RUN ["/busybox", "sh", "-c", "/busybox cat /deep/file /query/file /head/app/deep/file; /busybox stat -c ' %a' /deep/file /busybox; /busybox ls -A /head"]
`);
    expect(built.output.split('\n')).toEqual(['firstfirstsecond 644', ' 755', 'app', 'out', '']);
    for (const [suffix, code] of [
      ['#nosuch', 'GIT_REF_NOT_FOUND'],
      ['#v1:out/etc', 'CONTEXT_INVALID'],
      ['#v1:none', 'CONTEXT_INVALID'],
      ['#v1:../../../../etc', 'CONTEXT_INVALID'],
      ['?ref=v1&checksum=0123456', 'CHECKSUM_MISMATCH'],
    ]) {
      const error = it.build(`FROM scratch\nADD ${remote(suffix ?? '')} /\n`);
      await expect(error).rejects.toMatchObject({ code, location: { startLine: 2 } });
    }
  });

  test('a repository that is kept knows where it is from, and the tag that was asked for', async () => {
    const kept = async (suffix: string): Promise<readonly string[]> => {
      const dest = await mkdtemp(join(folder, 'kept-'));
      const dockerfile = `FROM scratch\nADD --keep-git-dir=true ${remote(suffix)} /\n`;
      await it.build(dockerfile, { outputs: [{ type: 'local', dest }] });
      const git = async (...args: readonly string[]): Promise<string> =>
        (await run('/usr/bin/git', ['-c', `safe.directory=${dest}`, '-C', dest, ...args])).stdout.trim();
      const files = await readdir(join(dest, '.git'));
      expect([await git('remote', 'get-url', 'origin'), files.includes('FETCH_HEAD')]).toEqual([remote(''), false]);
      return [
        await git('rev-parse', 'HEAD'),
        await git('describe', '--tags', '--always', '--abbrev=40'),
        await git('tag'),
      ];
    };
    expect(await kept('#v1')).toEqual([commit, 'v1', 'v1']);
    // The same commit by its id: no tag, and no step that is found for the other.
    expect(await kept(`#${commit}`)).toEqual([commit, commit, '']);
    expect((await kept('')).at(-1)).toBe('');
  });

  test('ADD of a gated model and of a private repository takes tokens and headers of secrets, which are for their host', async () => {
    const { host } = new URL(web.origin);
    const gated = `${web.origin}/gated/model.bin`;
    const withSecret = (id: string, text: string, dockerfile: string): ReturnType<TestEngine['build']> =>
      it.build(`FROM scratch\n${dockerfile}\n`, { noCache: true, secrets: [{ id, value: Buffer.from(`${text}\n`) }] });
    await expect(it.build(`FROM scratch\nADD ${gated} /\n`)).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      hint: 'Give a token: --secret id=HTTP_AUTH_TOKEN_127.0.0.1,env=NAME',
    });
    authorization = 'Bearer hf_0123456789';
    await withSecret(`HTTP_AUTH_TOKEN_${host}`, 'hf_0123456789', `ADD ${gated} /`);
    await withSecret('HTTP_AUTH_TOKEN_127.0.0.1', 'hf_0123456789', `ADD ${gated} /`);
    authorization = 'Basic bW9kZWw6cGFzcw==';
    await withSecret(`HTTP_AUTH_HEADER_${host}`, authorization, `ADD ${gated} /`);
    await expect(withSecret('HTTP_AUTH_HEADER_other.test', authorization, `ADD ${gated} /`)).rejects.toThrow('401');
    await mkdir(join(folder, 'private'));
    await run('cp', ['-r', join(folder, 'repo.git'), join(folder, 'private/repo.git')]);
    const add = `ADD ${web.origin}/private/repo.git#v1:app /`;
    await expect(it.build(`FROM scratch\n${add}\n`)).rejects.toMatchObject({
      code: 'GIT_FAILED',
      hint: 'Give a token: --secret id=GIT_AUTH_TOKEN,env=NAME',
      location: { startLine: 2 },
    });
    await withSecret(`GIT_AUTH_HEADER.${host}`, authorization, add);
    authorization = `Basic ${Buffer.from('x-access-token:ghs_0123456789').toString('base64')}`;
    const built = await withSecret('GIT_AUTH_TOKEN', 'ghs_0123456789', `${add}\nRUN ["/busybox", "cat", "/deep/file"]`);
    expect(built.output).toBe('first');
    await expect(withSecret('GIT_AUTH_TOKEN.other.test', 'ghs_0123456789', add)).rejects.toThrow('could not read');
    const gitSecrets = [{ id: `GIT_AUTH_TOKEN.${host}`, value: Buffer.from('ghs_0123456789') }];
    await it.build(`FROM scratch\n${add}\n`, { noCache: true, gitSecrets });
    const mount = `RUN --mount=type=secret,required,id=GIT_AUTH_TOKEN.${host} ["/busybox", "true"]`;
    await expect(it.build(`FROM scratch\n${add}\n${mount}\n`, { gitSecrets })).rejects.toMatchObject({
      location: { startLine: 3 },
    });
    await expect(
      withSecret('GIT_AUTH_TOKEN', 'ghs_0123456789', 'ADD http://models.test/repo.git /'),
    ).rejects.toMatchObject({
      code: 'GIT_TOKEN_IN_CLEAR',
      hint: expect.stringContaining('https://models.test') as unknown,
    });
  });

  test('takes submodules by relative and by whole addresses, unless they are not wanted', async () => {
    const git = (...args: string[]): Promise<unknown> =>
      run('/usr/bin/git', ['-C', join(folder, 'work'), '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        env: { GIT_ALLOW_PROTOCOL: 'file:http' },
      });
    await run('cp', ['-r', join(folder, 'repo.git'), join(folder, 'library.git')]);
    await git('submodule', '--quiet', 'add', `${web.origin}/library.git`, 'whole');
    await git('config', '--file', '.gitmodules', 'submodule.beside.path', 'beside');
    await git('config', '--file', '.gitmodules', 'submodule.beside.url', '../library.git');
    await git('update-index', '--add', '--cacheinfo', `160000,${commit},beside`);
    await git('add', '.gitmodules');
    await git('commit', '--quiet', '-m', 'submodules');
    await git('push', '--quiet', join(folder, 'repo.git'), 'main');
    const built = await it.build(`FROM scratch
ADD ${remote('')} /with/
ADD ${remote('?submodules=false')} /without/
COPY busybox /
RUN ["/busybox", "sh", "-c", "/busybox cat /with/whole/app/deep/file /with/beside/app/deep/file; /busybox find / -xdev -name .git; /busybox ls /without/whole /without/beside | /busybox wc -w"]
`);
    expect(built.output).toBe('secondfirst2\n');
  });

  test('an ignore file hides nothing of what comes from elsewhere, as with BuildKit', async () => {
    const work = join(folder, 'work');
    await writeFile(join(work, 'app/.dockerignore'), 'deep\n');
    const commits = ['add', 'commit --quiet -m ignore', 'push --quiet ../repo.git main'];
    for (const words of commits) {
      const args = words.split(' ').concat(words === 'add' ? ['.'] : []);
      await run('/usr/bin/git', ['-C', work, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { env: {} });
    }
    await run('tar', ['-czf', join(folder, 'context.tar.gz'), '-C', join(work, 'app'), '.']);
    const repository = parseGitSource(remote('#main:app')) ?? '';
    const archive = { type: 'archive', content: createReadStream(join(folder, 'context.tar.gz')) } as const;
    for (const context of [repository, archive]) {
      expect((await buildWith(it.engine, { context, noCache: true })).output).toBe('second');
    }
    const added = await it.build(`FROM scratch\nADD ${remote('#main:app')} /\nRUN ["/busybox", "cat", "/deep/file"]\n`);
    expect(added.output).toBe('second');
    await expect(buildWith(it.engine, { context: join(work, 'app') })).rejects.toMatchObject({ code: 'RUN_FAILED' });
  });

  test('a repository as context keeps .git when it is asked to, and is described without being built', async () => {
    const context = parseGitSource(remote('#v1:app')) ?? '';
    const report = await it.engine.dockerfile.check({ context });
    expect([report.file, report.warnings, report.error]).toEqual(['Dockerfile', [], undefined]);
    expect((await it.engine.dockerfile.targets({ context })).targets).toHaveLength(1);
    expect((await it.engine.dockerfile.outline({ context })).text).toContain('COPY . /');
    const whole = parseGitSource(remote('')) ?? '';
    const dockerfile = 'FROM scratch\nCOPY . /\nRUN ["/app/busybox", "ls", "-A", "/"]\n';
    const names = async (value: string): Promise<readonly string[]> => {
      const buildArgs = { BUILDKIT_CONTEXT_KEEP_GIT_DIR: value };
      return (await buildWith(it.engine, { context: whole, dockerfile, buildArgs })).output.split('\n');
    };
    expect(await names('1')).toContain('.git');
    expect(await names('false')).not.toContain('.git');
    await expect(names('maybe')).rejects.toMatchObject({ code: 'BUILD_ARG_INVALID' });
  });

  test('builds a repository, an archive behind a URL, one in a stream, and a Dockerfile alone', async () => {
    await run('tar', ['-czf', join(folder, 'context.tar.gz'), '-C', join(folder, 'work/app'), '.']);
    const contexts = [
      [parseGitSource(remote('#v1:app')) ?? '', 'first'],
      [{ type: 'http', url: `${web.origin}/context.tar.gz` }, 'second'],
      [{ type: 'archive', content: createReadStream(join(folder, 'context.tar.gz')) }, 'second'],
    ] as const;
    for (const [context, output] of contexts) {
      expect((await buildWith(it.engine, { context, noCache: true })).output).toBe(output);
    }
    const text = streamOf('FROM scratch\nLABEL a=b\n');
    const alone = await buildWith(it.engine, { context: { type: 'archive', content: text } });
    expect(alone.config.Labels).toEqual({ a: 'b' });
    const lonely = buildWith(it.engine, {
      context: { type: 'archive', content: streamOf('FROM scratch\nCOPY a /\n') },
    });
    await expect(lonely).rejects.toMatchObject({
      message: 'Cannot copy "a": the Dockerfile came without a build context',
      hint: 'Give the folder of its files, and the Dockerfile with -f: berth build -f - . < Dockerfile',
    });
    // The folder that it was brought to says nothing to anybody.
    const context = parseGitSource(remote('#v1:app')) ?? '';
    for (const source of ['nosuch', '../up']) {
      const wrong = buildWith(it.engine, { context, dockerfile: `FROM scratch\nCOPY ${source} /\n` });
      await expect(wrong).rejects.toThrow(`the build context ${remote('')}`);
    }
    await expect(buildWith(it.engine, { context, file: 'nosuch' })).rejects.toThrow(
      `Cannot read nosuch of the context ${remote('')}: there is no such file`,
    );
    const escaping = buildWith(it.engine, {
      context: parseGitSource(remote('#v1:app')) ?? '',
      file: '../../../etc/passwd',
    });
    await expect(escaping).rejects.toMatchObject({ code: 'DOCKERFILE_NOT_FOUND' });
    const rubbish = buildWith(it.engine, { context: { type: 'archive', content: streamOf('\0\x01') } });
    await expect(rubbish).rejects.toMatchObject({ code: 'CONTEXT_INVALID' });
  });

  test('SOURCE_DATE_EPOCH=context is the time of the commit, or of the newest file of an archive', async () => {
    const git = ['-C', join(folder, 'work'), 'show', '--no-patch', '--format=%ct', 'v1^{commit}'];
    const committed = Number((await run('/usr/bin/git', git)).stdout);
    const created = async (context: BuildContext): Promise<number> => {
      const dockerfile =
        'ARG SOURCE_DATE_EPOCH=context\nFROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL at=$SOURCE_DATE_EPOCH\n';
      const { imageId, config } = await buildWith(it.engine, { context, dockerfile });
      const time = Date.parse(String((await it.engine.images.inspect(imageId))['Created'])) / 1000;
      expect(config.Labels).toEqual({ at: String(time) });
      return time;
    };
    expect(await created(parseGitSource(remote('#v1:app')) ?? '')).toBe(committed);
    await run('tar', ['-cf', join(folder, 'timed.tar'), '--mtime=@1234567890', '-C', join(folder, 'work/app'), '.']);
    expect(await created({ type: 'archive', content: createReadStream(join(folder, 'timed.tar')) })).toBe(1234567890);
  });

  test('SOURCE_DATE_EPOCH of a stage or a named context is the time of what it adds', async () => {
    const git = ['-C', join(folder, 'work'), 'show', '--no-patch', '--format=%ct', 'v1^{commit}'];
    const committed = Number((await run('/usr/bin/git', git)).stdout);
    const tar = [
      '-C',
      join(folder, 'work/app'),
      '--mtime=@1234567890',
      '-czf',
      join(folder, 'context.tar.gz'),
      'deep/file',
    ];
    await run('tar', tar);
    const built = async (stage: string, epoch: string, more: Partial<BuildRequest> = {}): Promise<unknown> => {
      const dockerfile = `ARG TAG=v1\n${stage}FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL at="$SOURCE_DATE_EPOCH"\n`;
      const buildArgs = { SOURCE_DATE_EPOCH: epoch, ...more.buildArgs };
      return (await it.build(dockerfile, { ...more, buildArgs })).config.Labels?.['at'];
    };
    const added = (what: string, from = 'scratch'): string => `FROM ${from} AS Src\n${what}\n`;
    const repository = added(`ARG TAG WHERE=/\nADD ${remote('')}#$TAG \${WHERE}`);
    expect(await built(repository, 'sRC')).toBe(String(committed));
    expect(await built(`ARG SOURCE_DATE_EPOCH=src\n${repository}`, 'src')).toBe(String(committed));
    const served = Date.parse('2022-02-01T03:04:05Z') / 1000;
    expect(await built(added(`ADD --unpack=false ${web.origin}/model /m`), 'src')).toBe(String(served));
    // Without the header, the newest file of the archive; where there is neither, none.
    expect(await built(added(`ADD ${web.origin}/context.tar.gz /`), 'src')).toBe('1234567890');
    const contexts = {
      git: parseGitSource(remote('#v1')) ?? '',
      served: { type: 'http', url: `${web.origin}/model` },
      archive: { type: 'http', url: `${web.origin}/context.tar.gz` },
      folder: it.context,
      SRC: parseGitSource(remote('#v1:app')) ?? '',
    } as const;
    const times = { git: committed, served, archive: 1234567890, folder: '', Src: committed };
    for (const [name, time] of Object.entries(times)) {
      expect([name, await built(added('RUN never'), name, { contexts })]).toEqual([name, String(time)]);
    }
    const refused = async (stage: string, epoch = 'src'): Promise<unknown> =>
      await built(stage, epoch).catch((error: unknown) =>
        isEngineError(error) ? [error.code, error.location?.startLine, error.message] : error,
      );
    const place = expect.any(String) as unknown;
    expect(await refused(repository, 'other')).toEqual(['EPOCH_INVALID', undefined, place]);
    expect(await refused(added(`ADD ${web.origin}/model /m`, 'shell'))).toEqual(['EPOCH_INVALID', 2, place]);
    expect(await refused(added(`ADD ${web.origin}/model /m\nWORKDIR /x`))).toEqual(['EPOCH_INVALID', 4, place]);
    expect(await refused(added(`ADD ${web.origin}/a /\nADD ${web.origin}/b /`))).toEqual(['EPOCH_INVALID', 4, place]);
    expect(await refused(added('ADD busybox /'))).toEqual(['EPOCH_INVALID', 3, place]);
    expect(await refused(added('ARG A'))).toEqual(['EPOCH_INVALID', 2, place]);
    expect(await refused(repository, '-1')).toEqual(['EPOCH_INVALID', undefined, place]);
  });

  test('takes named contexts for stages, bases and --from', async () => {
    await it.write({ 'assets/one': '1' });
    const base = await it.build('FROM scratch\nCOPY busybox /\nENV FROM_BASE=1\n', { tags: ['base:1'] });
    const layout = join(folder, 'layout');
    await saveLayout(base.imageId, layout);
    const built = await it.build(
      `FROM nosuch/image AS tools
RUN make
FROM python:3
COPY --from=tools /app/busybox /tools
COPY --from=assets . /assets/
COPY --from=layout /busybox /layout
RUN ["/busybox", "sh", "-c", "/busybox echo $FROM_BASE; /busybox ls / /assets"]
`,
      {
        contexts: {
          tools: parseGitSource(remote('')) ?? '',
          python: { type: 'image', reference: 'base:1' },
          'docker.io/library/python:3': { type: 'image', reference: 'base:1' },
          assets: join(it.context, 'assets'),
          layout: { type: 'oci-layout', path: layout },
        },
      },
    );
    const lines = built.output.split('\n');
    expect(lines[0]).toBe('1');
    expect(lines).toEqual(expect.arrayContaining(['tools', 'layout', 'one']));
    await expect(
      it.build('FROM scratch\nCOPY --from=x / /\n', { contexts: { x: { type: 'oci-layout', path: it.context } } }),
    ).rejects.toMatchObject({ code: 'CONTEXT_INVALID' });
  });
});

async function* streamOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** The layout of an image, by way of `save`. */
async function saveLayout(image: string, path: string): Promise<void> {
  await it.engine.images.complete(image);
  await mkdir(path);
  const archive = join(folder, 'saved.tar');
  const chunks: Uint8Array[] = [];
  await it.engine.images.save([image], { format: 'oci', write: async (chunk) => void chunks.push(chunk) });
  await writeFile(archive, Buffer.concat(chunks));
  await run('tar', ['-xf', archive, '-C', path]);
}

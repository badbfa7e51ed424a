import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { BuildRequest } from '../../engine/index.ts';
import type { ImageConfig, Manifest } from '../../engine/image/types.ts';
import { validateImage } from '../../engine/image/validate.ts';
import { openTestStore } from '../helpers/store.ts';
import { HELPER, NO_CONTAINERS } from '../helpers/berth.ts';
import { buildWith, openTestEngine, SHELL, type BuiltEvents, type TestEngine } from '../helpers/engine.ts';

const run = promisify(execFile);
/** A command that is known among those of the machine. */
const NAP = `sleep 600.${process.pid}`;
const suite = NO_CONTAINERS === undefined ? describe : describe.skip;
const named = (name: string): string => (NO_CONTAINERS === undefined ? name : `${name} (skipped: ${NO_CONTAINERS})`);

let it: TestEngine;
beforeEach(async () => {
  it = await openTestEngine();
});
afterEach(async () => {
  await expectSound(it);
  await it.close();
});

/** After every test, whatever happened in it: the store is sound, and nothing runs or is mounted. */
async function expectSound({ engine, root }: TestEngine): Promise<void> {
  expect((await engine.system.fsck()).problems).toEqual([]);
  expect((await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(root))).toEqual(
    [],
  );
  expect(await readdir(join(root, 'containers'))).toEqual([]);
}

async function readBlob<T>(digest: string): Promise<T> {
  return await readJson<T>(it.root, digest);
}

async function readJson<T>(root: string, digest: string): Promise<T> {
  return JSON.parse(await readFile(join(root, 'blobs/sha256', digest.slice(7)), 'utf8')) as T;
}

async function names(layer: string): Promise<string[]> {
  const { stdout } = await run('tar', ['-tzf', join(it.root, 'blobs/sha256', layer.slice(7))]);
  return stdout.trim().split('\n');
}

async function layersOf(built: BuiltEvents): Promise<readonly string[]> {
  const { layers } = await readBlob<Manifest>(built.manifest?.digest ?? '');
  return layers.map(({ digest }) => digest);
}

const executed = ({ events }: BuiltEvents): readonly string[] =>
  events.flatMap((event) =>
    event.type === 'vertex' && event.completed !== undefined && !event.cached && /^\[\S+ \d|^\[\d/.test(event.name)
      ? [event.name]
      : [],
  );

suite(named('build'), () => {
  test('makes an image of files alone, which others can read', async () => {
    await it.write({ 'app/main.py': 'print(1)\n', 'app/deep/data.txt': 'x' });
    const built = await it.build('FROM scratch\nCOPY app /srv/app\nLABEL a=b\nCMD ["/srv/app/main.py"]\n', {
      tags: ['model'],
      complete: true,
    });
    expect(built.names).toEqual(['docker.io/library/model:latest']);
    expect(built.steps).toEqual({ total: 1, cached: 0, executed: 1 });
    const [layer] = await layersOf(built);
    expect((await names(layer ?? '')).map((name) => name.replace(/\/$/, ''))).toEqual([
      'srv',
      'srv/app',
      'srv/app/deep',
      'srv/app/deep/data.txt',
      'srv/app/main.py',
    ]);
    const config = await readBlob<ImageConfig>(built.imageId);
    expect(config.config).toMatchObject({ Cmd: ['/srv/app/main.py'], Labels: { a: 'b' } });
    expect(config.history?.map((entry) => entry.empty_layer ?? false)).toEqual([false, true, true]);
    const store = await openTestStore(it.root);
    await validateImage(store.store.content, built.manifest ?? fail());
    await store.store.close();
  });

  test('makes the blob of a copied layer on the way, the same that packing it later makes', async () => {
    const dockerfile = 'FROM scratch AS from\nCOPY noise /\nFROM scratch\nCOPY a /\nCOPY --from=from /noise /n\n';
    const packs = ({ events }: BuiltEvents): number =>
      events.filter((event) => event.type === 'status' && event.name.startsWith('pack ')).length;
    const files = { a: 'x'.repeat(100_000), noise: randomBytes(17 << 20) };
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(it.context, name), content);
      await utimes(join(it.context, name), 1000, 1000);
    }
    const other = await openTestEngine();
    const built = await it.build(dockerfile, { complete: true });
    await buildWith(other.engine, { context: it.context, dockerfile });
    const later = await buildWith(other.engine, { context: it.context, dockerfile, complete: true });
    const layers = (await readJson<Manifest>(other.root, later.manifest?.digest ?? '')).layers;
    await other.close();
    expect([packs(built), packs(later) > 0]).toEqual([0, true]);
    expect(layers.map(({ digest }) => digest)).toEqual(await layersOf(built));
    expect(layers.map(({ mediaType }) => mediaType.replace(/.*tar/, ''))).toEqual(['+gzip', '']);
    expect(await readdir(join(it.root, 'ingest'))).toEqual([]);
  });

  test('runs commands, and what they leave is the layer', async () => {
    const built = await it.build(
      `${SHELL}ENV NAME=world\nWORKDIR /app\nRUN echo hello $NAME | tee greeting; rm /tmp -r`,
      { complete: true },
    );
    expect(built.output).toBe('hello world\n');
    const layers = await layersOf(built);
    expect(await names(layers.at(-1) ?? '')).toEqual(['app/', 'app/greeting', '.wh.tmp']);
  });

  test('has no raw sockets on the network of the host, and has them on one of its own', async () => {
    const CAP_NET_RAW = 13n;
    const rawSockets = async (kind: BuildRequest['network']): Promise<bigint> => {
      const { output } = await it.build(`${SHELL}RUN grep CapBnd /proc/self/status # ${kind}`, { network: kind });
      return (BigInt(`0x${/CapBnd:\s*([0-9a-f]+)/.exec(output)?.[1] ?? ''}`) >> CAP_NET_RAW) & 1n;
    };
    const { network } = (await it.engine.info()).probe;
    const byDefault = network.bridge ? 1n : 0n;
    const all = [await rawSockets('host'), await rawSockets('none'), await rawSockets('default')];
    expect(all).toEqual([0n, 1n, byDefault]);
  });

  test('has a network of its own with a way out, on which it does not find what listens on the loopback of the host', async () => {
    const { network } = (await it.engine.info()).probe;
    const listen = async (address: string): Promise<Server> => {
      const server = createServer((socket) => socket.end('the host\n'));
      await once(server.listen(0, address), 'listening');
      return server;
    };
    const [hidden, open] = await Promise.all([listen('127.0.0.1'), listen('0.0.0.0')]);
    const portOf = (server: Server): number => (server.address() as AddressInfo).port;
    const ask = (host: string, server: Server): string =>
      `(echo | nc -w 5 ${host} ${portOf(server)} 2>/dev/null || echo nobody)`;
    try {
      const dockerfile = `${SHELL}RUN ${ask('127.0.0.1', hidden)}; ${ask('host.docker.internal', open)}; \
  grep -c : /proc/net/dev; grep 127.0.0.1 /etc/hosts
RUN --network=none ! grep docker.internal /etc/hosts`;
      const built = await it.build(dockerfile, {
        extraHosts: [{ name: 'host.docker.internal', address: 'host-gateway' }],
      });
      const own = 'nobody\nthe host\n2\n127.0.0.1\tlocalhost\n127.0.0.1\tbuildkitsandbox\n';
      if (network.bridge) expect(built.output).toBe(own);
      else expect(built.output).toMatch(/^RUN has the network of this machine: .+\nthe host\n/);
    } finally {
      hidden.close();
      open.close();
    }
  });

  test('says that a proxy on the loopback of the host is out of reach', async () => {
    const { network } = (await it.engine.info()).probe;
    const proxy = 'http://me:word@localhost:3128';
    const built = await it.build(`${SHELL}RUN echo done`, { buildArgs: { HTTPS_PROXY: proxy } });
    const note = `HTTPS_PROXY names a proxy on this machine's loopback, which RUN does not reach from its own network: --network host\n`;
    if (network.bridge) expect(built.output).toBe(`${note}done\n`);
    else expect(built.output).not.toContain(note);
    expect(built.output).not.toContain('word');
  });

  test('leaves nothing of the engine in a layer: no mount points, no lent files', async () => {
    const ca = join(it.root, 'ca.pem');
    await writeFile(ca, 'a certificate\n');
    const engine = await it.again({ caFile: ca, buildCa: true });
    const request = {
      context: it.context,
      dockerfile: `${SHELL}RUN cat $PIP_CERT && touch /mine`,
      complete: true,
    };
    const built = await buildWith(engine, request);
    await engine.close();
    expect(built.output).toBe('a certificate\n');
    expect(await names((await layersOf(built)).at(-1) ?? '')).toEqual(['mine']);
    const text = JSON.stringify(await readBlob<ImageConfig>(built.imageId));
    expect(text).not.toMatch(/ca\.pem|SSL_CERT_FILE|certificate/);
    const cached = await it.build(request.dockerfile, { complete: true });
    expect([cached.steps.executed, cached.manifest]).toEqual([0, built.manifest]);
  });

  test('executes nothing the second time, in another engine too, and gives the same digest', async () => {
    await it.write({ 'app.py': 'print(1)\n' });
    const dockerfile = `${SHELL}FROM shell AS builder\nRUN mkdir /out && date > /out/when\nFROM shell\nCOPY --from=builder /out /out\nCOPY app.py /\nRUN cat /out/when`;
    const first = await it.build(dockerfile, { complete: true });
    const engine = await it.again();
    const second = await buildWith(engine, { context: it.context, dockerfile, complete: true });
    await engine.close();
    expect(second.steps).toEqual({ total: 6, cached: 6, executed: 0 });
    expect([second.imageId, second.manifest]).toEqual([first.imageId, first.manifest]);
    expect(second.output).toBe('');
  });

  test('repeats only what stands on a changed file', async () => {
    const dockerfile = `${SHELL}RUN echo dependencies > /deps\nCOPY app.py /\nRUN cat /app.py`;
    await it.write({ 'app.py': 'one\n' });
    await it.build(dockerfile);
    await it.write({ 'app.py': 'two\n' });
    const built = await it.build(dockerfile);
    expect(built.output).toBe('two\n');
    expect(built.steps).toEqual({ total: 5, cached: 3, executed: 2 });
  });

  test('repeats nothing for a file that only got another time', async () => {
    await it.write({ 'app.py': 'one\n' });
    const dockerfile = 'FROM scratch\nCOPY app.py /\n';
    const first = await it.build(dockerfile);
    await it.write({ 'app.py': 'one\n' });
    const second = await it.build(dockerfile);
    expect([second.steps.executed, second.imageId]).toEqual([0, first.imageId]);
  });

  test('keeps times before 1970 and after 2038, the same in every build', async () => {
    const times = ['-86400.5', '4294967297.123456789', '-11676096000', '0'];
    for (const [at, time] of times.entries()) {
      await it.write({ [`times/${at}`]: '' });
      await run('touch', ['-d', `@${time}`, join(it.context, 'times', String(at))]);
    }
    const dockerfile =
      'FROM scratch\nCOPY busybox /\nCOPY times/* /\nRUN ["/busybox", "stat", "-c", "%Y", "/0", "/1", "/2", "/3"]\n';
    const first = await it.build(dockerfile, { complete: true });
    // What the file system of the context made of them.
    const { stdout } = await run('stat', ['-c', '%Y', ...times.map((_, at) => join(it.context, 'times', String(at)))]);
    expect(first.output).toBe(stdout);
    const second = await it.build(dockerfile, { complete: true, noCache: true });
    expect(second.steps.cached).toBe(0);
    expect(await layersOf(second)).toEqual(await layersOf(first));
  });

  test('keeps what stands on a rebuilt stage whose files came out equal', async () => {
    const with_ = (comment: string): string =>
      `${SHELL}FROM shell AS builder\nRUN echo model > /model # ${comment}\nFROM shell\nCOPY --from=builder /model /\nRUN echo expensive`;
    const first = await it.build(with_('one'));
    const second = await it.build(with_('two'));
    expect(executed(second)).toEqual([expect.stringContaining('[builder 1/1]')]);
    expect(second.imageId).toBe(first.imageId);
  });

  test('builds everything again without the cache', async () => {
    await it.build(`${SHELL}RUN echo once`);
    const built = await it.build(`${SHELL}RUN echo once`, { noCache: true });
    expect([built.steps.executed, built.output]).toEqual([3, 'once\n']);
  });

  test('sets owners by name and number, and runs as the user', async () => {
    await it.write({
      passwd: 'root:x:0:0::/:/bin/sh\napp:x:1001:1002::/home/app:/bin/sh\n',
      group: 'root:x:0:\nstaff:x:50:app\n',
      'file.txt': 'x',
    });
    const built = await it.build(`${SHELL}COPY passwd group /etc/
COPY --chown=app file.txt /by-name
COPY --chown=app:staff file.txt /by-names
COPY --chown=7 file.txt /by-number
USER app
WORKDIR /work
RUN stat -c '%n %u:%g' /by-name /by-names /by-number /work && id && touch mine`);
    expect(built.output.split('\n')).toEqual([
      '/by-name 1001:1002',
      '/by-names 1001:50',
      '/by-number 7:7',
      '/work 1001:1002',
      expect.stringMatching(/^uid=1001\(app\) gid=1002 groups=.*50\(staff\)/),
      '',
    ]);
  });

  test('names the line, the code and the last words of a step that fails, and keeps the state before it', async () => {
    const failing = it.build(
      `${SHELL}RUN echo before > /state\nRUN echo some words; cat /nowhere; exit 7\nRUN echo never`,
    );
    const error = await failing.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'RUN_FAILED', exitCode: 7, location: { startLine: 5 } });
    const { log, stateImage = '', hint } = error as { log: string[]; stateImage?: string; hint: string };
    expect(log).toEqual(['some words', "cat: can't open '/nowhere': No such file or directory"]);
    expect(hint).toBe(`The state before this step is kept: berth run -it --rm ${stateImage} sh`);
    const chunks: Uint8Array[] = [];
    const container = await it.engine.containers.run(
      { image: stateImage, command: ['cat', '/state'], network: 'none', rm: true },
      { onStdout: (chunk) => void chunks.push(chunk) },
    );
    expect((await container.ended).exitCode).toBe(0);
    expect(Buffer.concat(chunks).toString()).toBe('before\n');
  });

  test('takes up after the failure where it stopped', async () => {
    const dockerfile = (last: string): string => `${SHELL}RUN echo long work\n${last}`;
    await expect(it.build(dockerfile('RUN exit 1'))).rejects.toMatchObject({ code: 'RUN_FAILED' });
    const built = await it.build(dockerfile('RUN echo mended'));
    expect(built.output).toBe('mended\n');
  });

  test('says 127 for a program that is not there', async () => {
    await expect(it.build(`FROM scratch\nCOPY busybox /\nRUN ["/nowhere"]`)).rejects.toMatchObject({
      code: 'RUN_FAILED',
      exitCode: 127,
      location: { startLine: 3 },
    });
  });

  test('names the line of a COPY whose file is not there', async () => {
    await expect(it.build('FROM scratch\nCOPY nothing /\n')).rejects.toMatchObject({
      code: 'COPY_SOURCE_NOT_FOUND',
      location: { startLine: 2 },
    });
    await expect(it.build(`${SHELL}FROM scratch\nCOPY --from=shell /nothing /\n`)).rejects.toMatchObject({
      code: 'COPY_SOURCE_NOT_FOUND',
      location: { startLine: 5 },
    });
  });

  test('copies with every flag, here-documents and archives', async () => {
    await it.write({
      'app/src/main.py': 'main',
      'app/src/test.md': 'md',
      'app/docs/a.md': 'a',
      'model.bin': 'weights',
      'bin/tool': 'tool',
    });
    await run('tar', ['-cJf', join(it.context, 'data.bin'), '-C', it.context, 'model.bin']);
    const built = await it.build(`${SHELL}FROM scratch AS files
ARG NAME=world
COPY --parents app/*/main.py /parents/
COPY --parents app/./src /pivot/
COPY --exclude=**/*.md --exclude=bin --exclude=busybox . /excluded/
COPY --chmod=u=rwX,go=rX app bin/tool /modes/
COPY <<hello.txt <<'raw' model.bin /texts/
"hello" $NAME
hello.txt
$NAME
raw
ADD data.bin model.bin /unpacked/
ADD --unpack=false data.bin /packed/
COPY model.bin bin/tool /last
FROM shell
COPY --from=files --exclude=**/*.md --parents /./pivot /stage/
COPY --link --chown=3:4 model.bin /link/deep/
COPY --from=files /modes/ /texts/ /both/
COPY --from=files / /all/
RUN cd /all && find . -path ./busybox -o -type f -print | sort && cat texts/* last && stat -c '%n %a %u' modes/* modes/src/main.py && \
  cd / && find /stage /link /both | sort && stat -c '%n %u:%g' /link /link/deep/model.bin`);
    expect(built.output.split('\n').map((line) => line.trim())).toEqual([
      ...['app/src/main.py', 'data.bin', 'model.bin'].map((name) => `./excluded/${name}`),
      './last',
      ...['docs/a.md', 'src/main.py', 'src/test.md', 'tool'].map((name) => `./modes/${name}`),
      './packed/data.bin',
      './parents/app/src/main.py',
      './pivot/src/main.py',
      './pivot/src/test.md',
      ...['hello.txt', 'model.bin', 'raw'].map((name) => `./texts/${name}`),
      './unpacked/model.bin',
      '"hello" world',
      'weights$NAME',
      'toolmodes/docs 755 0',
      'modes/src 755 0',
      'modes/tool 755 0',
      'modes/src/main.py 644 0',
      ...['', '/docs', '/docs/a.md', '/hello.txt', '/model.bin', '/raw'].map((name) => `/both${name}`),
      ...['/src', '/src/main.py', '/src/test.md', '/tool'].map((name) => `/both${name}`),
      ...['/link', '/link/deep', '/link/deep/model.bin'],
      ...['/stage', '/stage/pivot', '/stage/pivot/src', '/stage/pivot/src/main.py'],
      '/link 3:4',
      '/link/deep/model.bin 3:4',
      '',
    ]);
    expect(built.warnings.map(({ message }) => message)).toEqual([expect.stringContaining('only the last one stays')]);
  });

  test('makes the layer of a linked copy once, whatever is below', async () => {
    await it.write({ model: 'weights' });
    const linked = (below: string): string => `${SHELL}RUN echo ${below} > /below\nCOPY --link model /models/\n`;
    const first = await it.build(linked('one'), { complete: true });
    const second = await it.build(`${linked('two')}RUN cat /below /models/model`, { complete: true });
    expect(executed(second).map((name) => name.split('] ')[1])).toEqual([
      'RUN echo two > /below',
      'RUN cat /below /models/model',
    ]);
    expect(second.output).toBe('two\nweights');
    expect((await layersOf(second)).at(-1)).toBe((await layersOf(first)).at(-1));
  });

  test('runs independent stages at the same time', async () => {
    const stage = (name: string): string => `FROM shell AS ${name}\nRUN sleep 1 && echo ${name} > /${name}\n`;
    const built = await it.build(
      `${SHELL}${stage('one')}${stage('two')}FROM shell\nCOPY --from=one /one /\nCOPY --from=two /two /\n`,
    );
    const times = built.events.flatMap((event) =>
      event.type === 'vertex' && event.completed && event.name.includes('RUN sleep') ? [event] : [],
    );
    const [first, second] = times.sort((a, b) => (a.started ?? 0) - (b.started ?? 0));
    expect(second?.started).toBeLessThan(first?.completed ?? 0);
  });

  test('stops at once when it is cancelled, and leaves nothing behind', async () => {
    const controller = new AbortController();
    const reason = new Error('the user pressed Ctrl-C');
    const events = (event: { readonly type: string }): void => {
      if (event.type === 'log') controller.abort(reason);
    };
    const building = it.engine.build(
      { context: it.context, dockerfile: `${SHELL}RUN echo started; ${NAP}` },
      { signal: controller.signal, onEvent: events },
    );
    await expect(building).rejects.toBe(reason);
    const { stdout } = await run('ps', ['-eo', 'args']);
    expect(stdout).not.toContain(NAP);
  });

  test('lets two engines build the same at the same time', async () => {
    const other = await it.again();
    const dockerfile = `${SHELL}RUN echo same > /same\nRUN echo again > /again`;
    const request = { context: it.context, dockerfile, complete: true, tags: ['same'] };
    const [one, two] = await Promise.all([buildWith(it.engine, request), buildWith(other, request)]);
    await other.close();
    expect(await readBlob<Manifest>(one.manifest?.digest ?? '')).toMatchObject({ schemaVersion: 2 });
    expect(await readBlob<Manifest>(two.manifest?.digest ?? '')).toMatchObject({ schemaVersion: 2 });
  });

  test('removes with a prune what nothing names, and builds again afterwards', async () => {
    const dockerfile = `${SHELL}RUN echo kept > /kept`;
    await it.build(dockerfile, { tags: ['kept'], complete: true });
    await it.build(`${SHELL}RUN echo dropped > /dropped`);
    await writeFile(join(it.root, 'ingest', 'left-over'), 'half');
    const pruned = await it.engine.system.prune();
    expect(pruned.removed).toContain('ingest/left-over');
    expect((await it.engine.images.list()).map((image) => image.names)).toEqual([['docker.io/library/kept:latest']]);
    expect((await it.build(dockerfile)).steps.executed).toBe(0);
    await it.engine.images.remove('kept');
    await it.engine.system.prune({ all: true });
    expect(await readdir(join(it.root, 'blobs/sha256'))).toEqual([]);
    expect(await readdir(join(it.root, 'snapshots/root'))).toEqual([]);
    expect((await it.build(dockerfile)).steps.executed).toBe(3);
  });

  test('gives the same image after the layers of its copies were lost', async () => {
    await it.write({ 'app/main.py': 'print(1)\n', 'app/deep/data.txt': 'x', model: 'm'.repeat((1 << 20) + 1) });
    const dockerfile =
      'FROM scratch\nCOPY app /srv/made/app\nWORKDIR /work/here\nCOPY <<EOF /etc/app.conf\na=b\nEOF\nADD model /models/';
    const built = await it.build(dockerfile, { complete: true });
    const { rootfs } = await readBlob<ImageConfig>(built.imageId);
    expect(rootfs.diff_ids).toHaveLength(4);
    for (const diffId of rootfs.diff_ids) {
      await rm(join(it.root, 'snapshots/root', diffId.slice(7)), { recursive: true });
    }
    for (const layer of await layersOf(built)) await rm(join(it.root, 'blobs/sha256', layer.slice(7)));
    const again = await it.build(dockerfile, { complete: true });
    expect(again.steps).toEqual({ total: 4, cached: 0, executed: 4 });
    expect([again.imageId, again.manifest]).toEqual([built.imageId, built.manifest]);
  });

  test('collects what a killed build left, and nothing of one that runs', async () => {
    const dockerfile = `${SHELL}RUN echo started; ${NAP}`;
    const script = `
      import { createEngine } from ${JSON.stringify(join(import.meta.dirname, '../../engine/index.ts'))};
      const engine = await createEngine(${JSON.stringify({ root: it.root, helper: HELPER, isolation: 'root' })});
      const onEvent = (event) => { if (event.type === 'log') process.stdout.write('started'); };
      await engine.build(${JSON.stringify({ context: it.context, dockerfile })}, { onEvent });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const uppers = async (): Promise<string[]> =>
      (await readdir(join(it.root, 'snapshots/root'))).filter((name) => name.startsWith('upper-'));
    await it.build(`${SHELL}RUN echo beside`);
    expect(await uppers()).toHaveLength(1);
    child.kill('SIGKILL');
    await once(child, 'close');
    await it.engine.system.fsck();
    expect((await it.build(`${SHELL}RUN echo after`)).output).toBe('after\n');
    // A container that was still ending when the build looked takes its own with it.
    while ((await uppers()).length > 0) await sleep(10);
    expect((await readdir(join(it.root, 'run'))).filter((name) => !name.endsWith('.json'))).toEqual([]);
  });

  test('finds what is broken in the store, and removes it on request', async () => {
    const built = await it.build(`${SHELL}RUN echo x > /x`, { tags: ['model'], complete: true });
    const [first = ''] = await layersOf(built);
    await writeFile(join(it.root, 'blobs/sha256', first.slice(7)), 'rotten');
    const { problems } = await it.engine.system.fsck();
    expect(problems[0]).toContain(`blob ${first} has other bytes`);
    const { repaired } = await it.engine.system.fsck({ repair: true });
    expect(repaired.length).toBeGreaterThan(0);
    const again = await it.build(`${SHELL}RUN echo x > /x`, { tags: ['model'], complete: true });
    expect(again.manifest).toEqual(built.manifest);
  });
});

function fail(): never {
  throw new Error('the image has no manifest');
}

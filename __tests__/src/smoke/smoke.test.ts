import { describe, expect, test } from '@jest/globals';
import type { ContainerConfig, RunSpec } from '../../../engine/index.ts';
import {
  parseSpec,
  presetNames,
  smoke,
  type SmokeEngine,
  type SmokeReport,
  type SmokeTest,
} from '../../../src/smoke/index.ts';
import { elfFile } from '../../helpers/elf.ts';
import type { MemoryFile } from '../../helpers/image-files.ts';
import { createProcessEngine, scriptImage } from '../../helpers/process-engine.ts';

/** A healthy model server; `predict` is its answer to POST /predict, as JavaScript. */
const server = (predict: string, extra = ''): string => `
  const http = require('node:http');
  ${extra}
  const server = http.createServer((request, response) => {
    const json = (status, body) => { response.writeHead(status, { 'content-type': 'application/json' }); response.end(body); };
    if (request.url === '/health') return json(200, '{"status":"ok"}');
    if (request.url === '/openapi.json') return json(200, '{"paths":{"/predict":{"post":{}}}}');
    if (request.url === '/predict') { console.error('\\x1b[31mpredict was asked'); ${predict}; return; }
    json(404, '{}');
  });
  process.on('SIGTERM', () => process.exit(0));
  server.listen(PORT, '0.0.0.0', () => console.log('listening'));
`;

const HEALTHY = server(`json(200, '{"prediction":1,"confidence":0.9}')`);

const REQUEST = `
requests:
  - name: one row
    request: { path: /predict, json: { features: [1, 2] } }
    response:
      status: 200
      jsonpath: { '$.confidence': { '>=': 0, '<=': 1 } }
`;

async function run(script: string, yaml: string): Promise<{ report: SmokeReport; port: number }> {
  const engine = createProcessEngine();
  const image = await scriptImage(script);
  const spec: SmokeTest =
    yaml === 'auto' ? { kind: 'auto' } : { kind: 'spec', spec: await parseSpec(yaml, 'smoke.yaml', []) };
  const report = await smoke(image, spec, { engine });
  expect(engine.running()).toEqual([]);
  return { report, port: image.port };
}

describe('a healthy server', () => {
  test('passes with its times, its memory and its shutdown', async () => {
    const { report, port } = await run(HEALTHY, `version: 1\n${REQUEST}shutdown: {}`);
    expect(report.checks.filter(({ status }) => status !== 'passed')).toEqual([]);
    expect(report).toMatchObject({
      verdict: 'passed',
      ready: { port, path: '/health' },
      shutdown: { exitCode: 0, forced: false },
      memoryPeak: { bytes: 50 << 20, source: 'rusage' },
    });
    expect(report.firstPredictMs).toBeGreaterThan(0);
    expect(report.readySeconds).toBeGreaterThanOrEqual(report.firstByteSeconds ?? Infinity);
  });

  test('passes with no file at all, and says what was not tested', async () => {
    const { report } = await run(HEALTHY, 'auto');
    expect(report.verdict).toBe('passed');
    expect(report.checks).toContainEqual(expect.objectContaining({ name: 'POST /predict', status: 'untested' }));
  });

  test('is ready with `auto` when it knows no route but answers', async () => {
    const script = `require('node:http').createServer((q, r) => { r.writeHead(404); r.end(); }).listen(PORT, '0.0.0.0'); process.on('SIGTERM', () => process.exit(0));`;
    const { report } = await run(script, 'auto');
    expect(report).toMatchObject({ verdict: 'passed', ready: { path: '/' } });
  });

  test('answers twice within the tolerance', async () => {
    const script = server(
      `calls += 1; json(200, JSON.stringify({ p: 1 + calls * 1e-9, id: calls }))`,
      'let calls = 0;',
    );
    const item = (ignore: string) =>
      `requests: [{ request: { path: /predict, json: {} }, repeat: { times: 3, same: { ignore: ${ignore} } } }]`;
    expect((await run(script, item("['$.id']"))).report.verdict).toBe('passed');
    const { report } = await run(script, item('[]'));
    expect(report.exitReason).toBe('assertion');
    expect(report.checks.at(1)?.failure?.problems[0]).toContain('$.id: wanted 1, got 2');
  });
});

describe('auto, with an example in the OpenAPI document of the server', () => {
  const described = (predict: string): string => {
    const content = (schema: object): object => ({ content: { 'application/json': schema } });
    const post = {
      requestBody: content({ example: { features: [1, 2] } }),
      responses: {
        200: content({ schema: { required: ['prediction'], properties: { prediction: { type: 'number' } } } }),
      },
    };
    const document = JSON.stringify({ paths: { '/predict': { post }, '/train': { post: {} } } });
    return server(predict).replace(`'{"paths":{"/predict":{"post":{}}}}'`, () => JSON.stringify(document));
  };
  const name = 'POST /predict (example of its OpenAPI document)';
  const table: readonly [string, string, object][] = [
    ['sends it and takes a good answer', `let body = ''; request.on('data', (part) => (body += part)).on('end', () => json(body === '{"features":[1,2]}' ? 200 : 500, '{"prediction":1}'))`, { verdict: 'passed', row: 'passed' }],
    ['fails when the first predict is a 500', `json(500, '{}')`, { verdict: 'failed', exitReason: 'readiness-lied', row: 'failed' }],
    ['fails when a number is not finite', `json(200, '{"prediction":NaN}')`, { verdict: 'failed', exitReason: 'non-finite', row: 'failed' }],
    ['fails when the process dies of it', `process.exit(3)`, { verdict: 'failed', exitReason: 'process-exited', row: 'failed' }],
    ['only reports that the example is refused', `json(422, '{}')`, { verdict: 'passed', row: 'warning', summary: 'status: wanted 2xx, got 422' }],
    ['only reports that the answer is not as described', `json(200, '{"prediction":"1"}')`, { verdict: 'passed', row: 'warning', summary: 'schema: $.prediction: wanted "number", got string' }],
  ]; // prettier-ignore

  test.each(table)('%s', async (_name, predict, wanted) => {
    const { report } = await run(described(predict), 'auto');
    const row = report.checks.find((check) => check.name === name);
    expect({
      verdict: report.verdict,
      exitReason: report.exitReason,
      row: row?.status,
      summary: row?.summary,
    }).toMatchObject(wanted);
    if (report.verdict === 'passed') {
      expect(report.firstPredictMs).toBeGreaterThan(0);
      expect(report.checks).toContainEqual(
        expect.objectContaining({ name: 'POST /train', status: 'untested', summary: 'it takes no body' }),
      );
    }
  });
});

describe('openapi: true in a spec', () => {
  test('sends the examples of the document too, and judges them as its own requests', async () => {
    const content = { content: { 'application/json': { example: { features: [1] } } } };
    const document = JSON.stringify({
      paths: { '/predict': { post: { requestBody: content } }, '/train': { post: {} } },
    });
    const script = server(`json(422, '{}')`).replace(`'{"paths":{"/predict":{"post":{}}}}'`, () =>
      JSON.stringify(document),
    );
    const { report } = await run(script, 'openapi: true');
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'assertion' });
    expect(report.checks.map(({ name, status }) => [name, status])).toEqual([
      ['ready', 'passed'],
      ['POST /predict (example of its OpenAPI document)', 'failed'],
      ['POST /train', 'untested'],
      ['shutdown', 'passed'],
    ]);
  });

  test('fails where there is no such document', async () => {
    const { report } = await run(HEALTHY.replace('/openapi.json', '/nowhere.json'), `${REQUEST}openapi: true`);
    const failed = report.checks.find(({ status }) => status === 'failed');
    expect(failed).toMatchObject({ name: 'openapi', location: { startLine: 8 } });
    expect(failed?.summary).toContain('the server has no OpenAPI document at /openapi.json or /docs.json');
  });
});

describe('presets', () => {
  const cog = (status: string): string => `
    require('node:http').createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(request.url === '/health-check' ? '{"status":"${status}"}' : '{"status":"failed"}');
    }).listen(PORT, '0.0.0.0');
    process.on('SIGTERM', () => process.exit(0));`;
  const config = { Labels: { 'run.cog.version': '0.16' }, Cmd: ['python', '-m', 'cog.server.http'] };

  test('a label tells the kind of server: one that will never be ready ends it though it answers 200', async () => {
    const engine = createProcessEngine();
    const image = await scriptImage(cog('SETUP_FAILED'));
    const report = await smoke({ ...image, config: { ...image.config, ...config } }, { kind: 'auto' }, { engine });
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'not-ready' });
    expect(report.checks[0]?.summary).toContain('$.status is "SETUP_FAILED"');
  });

  test('what a preset knows of the answer is asked: 200 with a status that says failed', async () => {
    const { report } = await run(cog('READY'), '{ preset: cog, payload: { input: {} } }');
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'assertion', ready: { path: '/health-check' } });
    expect(report.checks.at(1)?.failure?.problems[0]).toBe('$.status: wanted == "succeeded", got "failed"');
  });

  test('a path of the spec takes the place of the path of a preset, with all that it says', async () => {
    const { report } = await run(HEALTHY, '{ preset: cog, readinessProbe: { httpGet: { path: /health } } }');
    expect(report).toMatchObject({ verdict: 'passed', ready: { path: '/health' } });
  });

  test.each(presetNames)('%s is complete: what it says can be built', async (preset) => {
    const spec = await parseSpec(`preset: ${preset}`, 'smoke.yaml', []);
    expect(spec.readinessProbe.paths.every((path) => path.startsWith('/'))).toBe(true);
    expect(spec.readinessProbe.fallbackPorts.length).toBeGreaterThan(0);
  });

  test('a variable makes an image without EXPOSE a server, with the arguments and the port that its platform gives', async () => {
    const started: RunSpec[] = [];
    const engine: SmokeEngine = {
      containers: {
        run: async (spec) => {
          started.push(spec);
          throw new Error('seen');
        },
        resolve: async () => Promise.reject(new Error('not there')),
        remove: async () => undefined,
        changes: async () => [],
        commit: async () => Promise.reject(new Error('not there')),
      },
      images: createProcessEngine().images,
    };
    const image = { reference: 'x', config: { Env: ['SAGEMAKER_BIND_TO_PORT=8080'] } };
    await expect(smoke(image, { kind: 'auto' }, { engine })).rejects.toThrow('seen');
    expect(started[0]).toMatchObject({ command: ['serve'], ports: [{ containerPort: 8080 }] });
  });
});

describe('fault injected → exit reason', () => {
  const QUICK = 'readinessProbe: { httpGet: { path: /health }, startupTimeoutSeconds: 2, periodSeconds: 0.1 }\n';
  const table: readonly [string, string, string, string, RegExp][] = [
    ['the first predict is a 500', server(`json(500, '{"detail":"model is None"}')`), REQUEST, 'readiness-lied', /wanted 200, got 500/],
    ['the first predict is cut off', server(`request.socket.destroy()`), REQUEST, 'readiness-lied', /closed without an answer/],
    ['the body is wrong', server(`json(200, '{"confidence":7}')`), REQUEST, 'assertion', /\$\.confidence: wanted <= 1, got 7/],
    ['the body is no JSON', server(`response.end('<html>')`), REQUEST, 'assertion', /no JSON: .*found "<html>"/],
    ['the body is cut', server(`response.writeHead(200, { 'content-length': '50' }); response.write('{'); request.socket.destroySoon()`), REQUEST, 'readiness-lied', /middle of the answer/],
    ['a bare NaN is answered', server(`json(200, '{"confidence":0.5,"scores":[1,NaN]}')`), REQUEST, 'non-finite', /\$\.scores\[1\].*NaN/],
    ['a number overflows', server(`json(200, '{"confidence":0.5,"x":1e400}')`), REQUEST, 'non-finite', /\$\.x.*1e400/],
    ['it dies in the request', server(`process.exit(3)`), REQUEST, 'process-exited', /exited early with 3/],
    ['it dies before it is ready', `console.log('no model'); process.exit(1)`, REQUEST, 'process-exited', /exited early with 1/],
    ['it exits 0 early', `console.log('done')`, REQUEST, 'process-exited', /exited early with 0/],
    ['it never listens', `setInterval(() => undefined, 1000)`, QUICK + REQUEST, 'not-ready', /not ready within 2 s/],
    ['it is never healthy', HEALTHY, QUICK.replace('/health', '/nope') + REQUEST, 'not-ready', /answered 404/],
    ['it binds loopback', HEALTHY.replace('0.0.0.0', '127.0.0.1'), REQUEST, 'loopback-only', /127\.0\.0\.1:\d+ inside/],
    ['its health says that it will never be ready', HEALTHY, `readinessProbe: { httpGet: { path: /health }, failWhen: { '$.status': [FAILED, ok] } }\n${REQUEST}`, 'not-ready', /\$\.status is "ok"/],
    ['it needs a GPU', `console.error('OSError: libcuda.so.1: cannot open shared object file'); process.exit(1)`, REQUEST, 'gpu-missing', /exited early with 1/],
    ['it downloads its model', `console.error('Temporary failure in name resolution'); process.exit(1)`, REQUEST, 'needs-network', /exited early/],
    ['it ignores SIGTERM', HEALTHY.replace('process.exit(0)', 'undefined'), `${REQUEST}shutdown: { timeoutSeconds: 1 }`, 'not-graceful', /did not stop within 1 s/],
    ['it stops with another code', HEALTHY.replace('process.exit(0)', 'process.exit(9)'), `${REQUEST}shutdown: {}`, 'not-graceful', /exited with 9/],
    ['the image is over its budget', HEALTHY, `${REQUEST}thresholds: { image_size: ['value<1Mi'] }`, 'budget', /got 5\.0 MiB/],
    ['it redirects', server(`response.writeHead(302, { location: '/predict' }); response.end()`), REQUEST, 'assertion', /got 302 \(to \/predict/],
    ['its headers are a megabyte', server(`response.writeHead(200, { 'x-big': 'x'.repeat(1 << 20) }); response.end()`), REQUEST, 'readiness-lied', /headers are over the limit/],
    ['its answer is 20 MB', server(`json(200, 'x'.repeat(20 << 20))`), REQUEST, 'readiness-lied', /over the limit of 10485760 bytes/],
    ['its text makes the pattern backtrack', server(`json(200, JSON.stringify({ confidence: 1, t: 'a'.repeat(60) + '!' }))`), REQUEST.replace('jsonpath: {', () => "jsonpath: { '$.t': { matches: '^(a+)+$' }, "), 'assertion', /took more than 500 ms/],
  ]; // prettier-ignore

  test.each(table)('%s', async (_name, script, yaml, reason, problem) => {
    const { report } = await run(script, yaml);
    expect(report).toMatchObject({ verdict: 'failed', exitReason: reason });
    const failed = report.checks.find(({ status }) => status === 'failed');
    expect([failed?.summary, ...(failed?.failure?.problems ?? [])].join('\n')).toMatch(problem);
  });
});

describe('a failed request', () => {
  test('prints the request, the answer and the log since that request', async () => {
    const { report, port } = await run(server(`json(500, '{"detail":"boom"}')`), REQUEST);
    const failure = report.checks.find(({ status }) => status === 'failed')?.failure;
    expect(failure).toEqual({
      problems: [
        'status: wanted 200, got 500',
        '$.confidence: wanted >= 0, got nothing',
        '$.confidence: wanted <= 1, got nothing',
      ],
      curl: `curl -sS -i http://127.0.0.1:${port}/predict -H 'content-type: application/json' --data-binary '{"features":[1,2]}'`,
      status: 500,
      body: '{"detail":"boom"}',
      log: ['\\x1b[31mpredict was asked'],
    });
  });

  test('points at the line of the spec', async () => {
    const { report } = await run(server(`json(200, '{"confidence":7}')`), REQUEST);
    const failed = report.checks.find(({ status }) => status === 'failed');
    expect(failed?.location).toMatchObject({ file: 'smoke.yaml', startLine: 7 });
  });

  test('leaves the others to be sent, unless the server is gone', async () => {
    const two = `${REQUEST}  - { name: second, request: { path: /health } }\n`;
    const wrong = await run(server(`json(500, '{}')`), two);
    expect(wrong.report.checks.map(({ status }) => status)).toEqual(['passed', 'failed', 'passed', 'passed']);
    const gone = await run(server(`process.exit(1)`), two);
    expect(gone.report.checks.map(({ status }) => status)).toEqual(['passed', 'failed', 'skipped']);
  });
});

test('masks secrets and never shows secret headers', async () => {
  const engine = createProcessEngine();
  const image = await scriptImage(server(`console.log('key is hunter2'); json(500, '"hunter2"')`));
  const yaml = `requests: [{ request: { path: /predict, headers: { authorization: Bearer hunter2 }, json: { k: hunter2 } } }]`;
  const report = await smoke(
    image,
    { kind: 'spec', spec: await parseSpec(yaml, 's', []) },
    { engine, secrets: ['hunter2'] },
  );
  expect(report.exitReason).toBe('readiness-lied');
  expect(JSON.stringify(report)).not.toContain('hunter2');
});

describe('an image that is no server', () => {
  const LOADER = '/lib64/ld-linux-x86-64.so.2';
  const ELF = elfFile();
  const program = { content: ELF, mode: 0o755 };
  const look = async (
    config: ContainerConfig,
    files: Readonly<Record<string, MemoryFile>>,
    kind: 'auto' | 'structure' = 'auto',
  ): Promise<SmokeReport> => await smoke({ reference: 'x', config }, { kind }, { engine: createProcessEngine(files) });
  const failuresOf = ({ checks }: SmokeReport): readonly string[] =>
    checks.flatMap(({ failure }) => failure?.problems ?? []);

  test('is not started, is told which line to add, and is looked at', async () => {
    const files = {
      '/usr/bin/env': program,
      '/usr/bin/python3': program,
      '/app/main.py': { content: '#!/usr/bin/env python3\n', mode: 0o755 },
    };
    const report = await look({ Entrypoint: ['./main.py'], WorkingDir: '/app', User: '1000' }, files);
    expect(report).toMatchObject({
      verdict: 'untested',
      checks: [
        { summary: 'not smoke-tested: no EXPOSE, no HEALTHCHECK', status: 'untested' },
        { name: 'USER', status: 'passed', summary: '1000' },
        { name: 'WORKDIR', status: 'passed' },
        { name: 'program', status: 'passed', summary: '/app/main.py → /usr/bin/env → /usr/bin/python3' },
      ],
    });
  });

  test('is green where it could be started, whatever is unusual about it', async () => {
    expect((await look({}, {})).checks.at(-1)).toMatchObject({ name: 'program', status: 'untested' });
    const made = await look({ Cmd: ['a'], WorkingDir: '/made' }, { '/bin/a': program });
    expect(made).toMatchObject({
      verdict: 'untested',
      checks: [{}, {}, { name: 'WORKDIR', status: 'warning' }, { status: 'passed' }],
    });
    const foreign = elfFile({ machine: 22 });
    const other = await look({ Cmd: ['a'] }, { '/bin/a': { content: foreign, mode: 0o755 } });
    expect(other).toMatchObject({
      verdict: 'untested',
      checks: [{}, {}, {}, { status: 'warning', summary: expect.stringContaining('is for s390x') }],
    });
  });

  const table: readonly [string, ContainerConfig, Readonly<Record<string, MemoryFile>>, string][] = [
    ['an unknown user', { Cmd: ['a'], User: 'app' }, { '/bin/a': program }, 'unable to find user app'],
    ['a file as WORKDIR', { Cmd: ['/bin/a'], WorkingDir: '/bin/a' }, { '/bin/a': program }, '/bin/a is a file, and no directory'],
    ['a program that is nowhere', { Cmd: ['a'], Env: ['PATH=/bin:/x'] }, {}, 'a is in no folder of PATH (/bin:/x)'],
    ['a program that is not at its path', { Entrypoint: ['/app'] }, {}, '/app is not in the image'],
    ['a lost executable bit', { Entrypoint: ['/app'] }, { '/app': ELF }, '/app may not be executed by uid 0 (mode 644, owner 0:0)'],
    ['a program for another user', { Entrypoint: ['/app'], User: '1000' }, { '/app': { content: ELF, mode: 0o700 } }, '/app may not be executed by uid 1000'],
    ['a folder as program', { Entrypoint: ['/app'] }, { '/app/x': '' }, '/app is a directory, and no program'],
    ['Windows line ends', { Entrypoint: ['/run'] }, { '/bin/sh': program, '/run': { content: '#!/bin/sh\r\necho\r\n', mode: 0o755 } }, '/run has Windows line ends'],
    ['an interpreter that is not there', { Entrypoint: ['/run'] }, { '/run': { content: '#!/bin/bash\n', mode: 0o755 } }, '/bin/bash is not in the image'],
    ['a program of env that is not there', { Entrypoint: ['/run'] }, { '/usr/bin/env': program, '/run': { content: '#!/usr/bin/env python3\n', mode: 0o755 } }, 'python3 is in no folder of PATH'],
    ['words that env takes for one', { Entrypoint: ['/run'] }, { '/usr/bin/env': program, '/run': { content: '#!/usr/bin/env python3 -u\n', mode: 0o755 } }, 'write #!/usr/bin/env -S python3 -u'],
    ['a script without a first line', { Entrypoint: ['/run'] }, { '/run': { content: 'echo\n', mode: 0o755 } }, 'it begins neither with an ELF header nor with #!'],
    ['scripts that run each other', { Entrypoint: ['/a'] }, { '/a': { content: '#!/b\n', mode: 0o755 }, '/b': { content: '#!/a\n', mode: 0o755 } }, 'names no interpreter that can be run'],
  ]; // prettier-ignore

  test.each(table)('is red for %s', async (_name, config, files, problem) => {
    const report = await look(config, files);
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'assertion' });
    expect(failuresOf(report).join('\n')).toContain(problem);
  });

  const linked = elfFile({ interpreter: LOADER, needed: ['libc.so.6', 'libssl.so.3'], runPath: '$ORIGIN/../lib' });
  const loader = { [LOADER]: { content: elfFile(), mode: 0o755 } };
  const libraries: readonly [string, Readonly<Record<string, MemoryFile>>, readonly string[]][] = [
    ['the loader', {}, ['/opt/bin/app is loaded by /lib64/ld-linux-x86-64.so.2, which is not in the image: it was built for glibc (Debian, Ubuntu, Fedora)']],
    ['a library', loader, ['/opt/bin/app needs the library libssl.so.3, which is not in the image']],
    ['a library of a library', { ...loader, '/opt/lib/libssl.so.3': elfFile({ needed: ['libz.so.1'] }) }, ['/opt/lib/libssl.so.3 needs the library libz.so.1, which is not in the image']],
    ['nothing: it is beside the program', { ...loader, '/opt/lib/libssl.so.3': elfFile() }, []],
    ['nothing: it is in a folder of LD_LIBRARY_PATH', { ...loader, '/given/libssl.so.3': elfFile() }, []],
    ['nothing: its folder is configured', { ...loader, '/etc/ld.so.conf.d/x.conf': '/odd\n', '/odd/libssl.so.3': elfFile() }, []],
    ['nothing: the loader has it in its cache', { ...loader, '/etc/ld.so.cache': 'libssl.so.3\0/strange/libssl.so.3\0' }, []],
  ]; // prettier-ignore

  test('is green where it lacks what the NVIDIA runtime brings, and says so', async () => {
    const cuda = elfFile({ interpreter: LOADER, needed: ['libcuda.so.1', 'libnvidia-ml.so.1', 'libcudart.so.12'] });
    const files = { ...loader, '/bin/app': { content: cuda, mode: 0o755 } };
    const app = await look({ Cmd: ['app'] }, { ...files, '/lib/libcudart.so.12': elfFile() });
    expect(app).toMatchObject({ verdict: 'untested', checks: [{}, {}, {}, { status: 'warning' }] });
    expect(app.checks[3]?.summary).toContain('needs the library libnvidia-ml.so.1, which comes with the GPU');
    const smi = await look({ Cmd: ['nvidia-smi'] }, {});
    expect(smi).toMatchObject({ verdict: 'untested', checks: [{}, {}, {}, { status: 'warning' }] });
    expect(failuresOf(await look({ Cmd: ['app'] }, files))).toEqual([
      '/bin/app needs the library libcudart.so.12, which is not in the image',
    ]);
  });

  test.each([
    '-S python3 -u',
    '-iS python3 -u',
    '-vSpython3',
    '-S -u HOME A=b python3 -u',
    '--split-string=python3 -u',
  ])('env %s is followed to the program', async (words) => {
    const run = { content: `#!/usr/bin/env ${words}\n`, mode: 0o755 };
    const files = { '/usr/bin/env': program, '/run': run };
    const report = await look({ Entrypoint: ['/run'] }, { ...files, '/usr/bin/python3': program });
    expect(report.checks[3]?.summary).toBe('/run → /usr/bin/env → /usr/bin/python3');
    expect(failuresOf(await look({ Entrypoint: ['/run'] }, files))[0]).toContain('python3 is in no folder of PATH');
  });

  test.each(libraries)('lacks %s', async (_name, files, problems) => {
    const config = { Entrypoint: ['/opt/bin/app'], Env: ['LD_LIBRARY_PATH=/given'] };
    const report = await look(config, { ...files, '/opt/bin/app': { content: linked, mode: 0o755 } });
    expect(failuresOf(report)).toEqual(problems);
  });

  test('so is a server, when structure-only is asked for', async () => {
    const config = { ExposedPorts: { '80/tcp': {} }, Cmd: ['a'] };
    expect(await look(config, { '/bin/a': program }, 'structure')).toMatchObject({
      verdict: 'untested',
      checks: [{ summary: 'not smoke-tested: structure-only was asked for' }, {}, {}, { status: 'passed' }],
    });
  });
});

test('tests nothing when it is off', async () => {
  const engine = createProcessEngine();
  expect(await smoke({ reference: 'x', config: {} }, { kind: 'off' }, { engine })).toMatchObject({ verdict: 'off' });
});

test('stops the container when it is cancelled', async () => {
  const engine = createProcessEngine();
  const image = await scriptImage('setInterval(() => undefined, 1000)');
  const reason = new Error('cancelled by the user');
  const controller = new AbortController();
  const onEvent = (event: { type: string; id?: string }): void => {
    if (event.type === 'vertex' && event.id === 'smoke/ready') controller.abort(reason);
  };
  await expect(smoke(image, { kind: 'auto' }, { engine, onEvent, signal: controller.signal })).rejects.toBe(reason);
  expect(engine.running()).toEqual([]);
});

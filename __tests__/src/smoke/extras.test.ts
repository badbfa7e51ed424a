import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { smoke, toJUnit, type SmokeReport } from '../../../src/smoke/index.ts';
import { parseSpec } from '../../../src/smoke/load.ts';
import { toCurl } from '../../../src/smoke/curl.ts';
import { eventsOf, eventViolations } from '../../../src/smoke/sse.ts';
import { writtenBy } from '../../../src/smoke/written.ts';
import { createProcessEngine, scriptImage } from '../../helpers/process-engine.ts';

let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'smoke-extras-')));
  await writeFile(join(folder, 'cat.jpg'), Buffer.from([0xff, 0xd8, 0x00, 0x0d, 0x0a, 0xff]));
  await writeFile(join(folder, 'rows.json'), '{"instances": [[1], [2], [3]]}');
  await mkdir(join(folder, 'model'));
});
afterAll(async () => await rm(folder, { recursive: true }));

/** A server; `answer` sees `request`, `body` (a Buffer) and `json(status, value)`. */
const server = (answer: string): string => `
  const http = require('node:http');
  const { createHash } = require('node:crypto');
  http.createServer((request, response) => {
    const json = (status, value) => { response.writeHead(status, { 'content-type': 'application/json' }); response.end(JSON.stringify(value)); };
    if (request.url === '/health') return json(200, {});
    const parts = [];
    request.on('data', (part) => parts.push(part)).on('end', () => { const body = Buffer.concat(parts); ${answer} });
  }).listen(PORT, '0.0.0.0');
  console.log('hello, token is', process.env.TOKEN);
  process.on('SIGTERM', () => process.exit(0));
`;

async function run(
  script: string,
  yaml: string,
  more: {
    readonly env?: Readonly<Record<string, string>>;
    readonly logFile?: string;
    readonly signal?: AbortSignal;
  } = {},
): Promise<SmokeReport> {
  const engine = createProcessEngine();
  const image = await scriptImage(script);
  const { env = {}, ...rest } = more;
  const spec = await parseSpec(yaml, 'smoke.yaml', [folder], (name) => env[name]);
  const host = { env: { PATH: process.env['PATH'], ...env }, workingDirectory: folder };
  const report = await smoke(image, { kind: 'spec', spec }, { engine, host, ...rest });
  expect(engine.running()).toEqual([]);
  return report;
}

const problemsOf = (report: SmokeReport): readonly string[] =>
  report.checks.flatMap(({ failure }) => failure?.problems ?? []);

describe('forms', () => {
  test('send files and fields as a browser does, the bytes untouched', async () => {
    const report = await run(
      server(`json(200, { type: request.headers['content-type'], body: body.toString('latin1') })`),
      `requests:
  - request: { path: /predict, multipart: { image: { file: cat.jpg }, top_k: 3, tag: [a, b] } }
    response:
      jsonpath:
        '$.type': { startsWith: 'multipart/form-data; boundary=berth-' }
        '$.body': { contains: "name=\\"image\\"; filename=\\"cat.jpg\\"\\r\\nContent-Type: image/jpeg\\r\\n\\r\\n\\u00ff\\u00d8\\u0000\\r\\n\\u00ff\\r\\n" }
  - request: { path: /predict, form: { text: 'a b&c', n: 1 } }
    response: { jsonpath: { '$.body': 'text=a+b%26c&n=1', '$.type': application/x-www-form-urlencoded } }
`,
    );
    expect(problemsOf(report)).toEqual([]);
    expect(report.verdict).toBe('passed');
  });

  test('are told as a curl line that sends the same', async () => {
    const spec = await parseSpec(
      `requests: [{ request: { path: /p, multipart: { image: { file: cat.jpg, filename: x.jpg }, n: 'a b' } } }]`,
      's.yaml',
      [folder],
    );
    const [item] = spec.requests;
    expect(item && toCurl(item.request, 'http://h')).toBe(
      `curl -sS -i http://h/p -F 'image=@cat.jpg;type=image/jpeg;filename=x.jpg' -F 'n=a b'`,
    );
  });
});

describe('streams of events', () => {
  const stream = (pause: number): string =>
    server(`
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let n = 0;
      const next = () => { n += 1; response.write('data: {"token": ' + n + '}\\n\\n'); if (n < 3) setTimeout(next, ${pause}); else response.end('data: [DONE]\\n\\n'); };
      next();`);
  const spec = (sse: string): string => `requests: [{ request: { path: /chat, json: {} }, response: { sse: ${sse} } }]`;

  test('pass when they come one by one and end as they should', async () => {
    const report = await run(stream(250), spec(`{ minEvents: 3, last: '[DONE]', firstEventSeconds: 30, spread: 0.2 }`));
    expect(problemsOf(report)).toEqual([]);
  });

  test('fail when they are buffered, too few, or end otherwise', async () => {
    const all = `{ minEvents: 9, last: '[END]' }`;
    expect(problemsOf(await run(stream(0), spec(all)))).toEqual([
      'sse: wanted at least 9 events, got 4',
      'sse: wanted "[END]" as last event, got "[DONE]"',
    ]);
    const plain = server(`json(200, {})`);
    expect(problemsOf(await run(plain, spec('{}')))).toEqual(['sse: wanted text/event-stream, got application/json']);
  });

  test('are split by the rules of the standard, each with the time of its last byte', () => {
    const body = Buffer.from(': note\n\ndata: a\r\ndata:b\rid: 1\n\nevent: x\n\ndata: c\n\ndata: cut');
    const arrivals = [
      { milliseconds: 10, bytes: 20 },
      { milliseconds: 500, bytes: body.length },
    ];
    const events = eventsOf(body, arrivals);
    expect(events).toEqual([
      { data: 'a\nb', milliseconds: 500 },
      { data: 'c', milliseconds: 500 },
    ]);
    expect(eventViolations(events, 500, { minEvents: 1, spread: 0.2 })).toEqual([
      'wanted the events over 20 % of the time, they came within 0 % of 500 ms: the stream is buffered',
    ]);
    expect(eventViolations(events, 500, { minEvents: 1, firstEventSeconds: 0.1 })).toEqual([
      'wanted the first event within 0.1 s, it came after 0.5 s',
    ]);
  });
});

describe('test-command', () => {
  const HELLO = server(`json(200, { path: request.url })`);

  test('finds the server, the digest and the log, and its exit code decides', async () => {
    const logFile = join(folder, 'container.log');
    const seen: string[] = [];
    const yaml = `test-command: 'echo "$BASE_URL $IMAGE_DIGEST $OWN" > seen; cat "$CONTAINER_LOG" >> seen'`;
    const report = await run(HELLO, yaml, { env: { OWN: 'mine' }, logFile });
    expect(report.checks.at(-2)).toMatchObject({ name: 'test-command', status: 'passed' });
    seen.push(...(await readFile(join(folder, 'seen'), 'utf8')).split('\n'));
    expect(seen[0]).toMatch(/^http:\/\/127\.0\.0\.2:\d+ const PORT/);
    expect(seen.join('\n')).toContain(' mine\nhello, token is');
    expect(report.baseUrl).toMatch(/^http:\/\/127\.0\.0\.2:\d+$/);
  });

  test('that fails is red, with what it said', async () => {
    const report = await run(HELLO, `test-command: 'echo out; echo err >&2; false; echo never'`);
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'assertion' });
    const check = report.checks.find(({ name }) => name === 'test-command');
    expect(check?.summary).toBe('exited with 1');
    expect(check?.failure?.log?.toSorted()).toEqual(['err', 'out']);
  });

  test('leaves no process behind, also when it is cancelled', async () => {
    const left = join(folder, 'left');
    const cancel = new AbortController();
    const running = run(HELLO, `test-command: 'sleep 600 & echo $! > ${left}; wait'`, { signal: cancel.signal });
    for (;;) {
      if ((await readFile(left, 'utf8').catch(() => '')) !== '') break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    cancel.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    const pid = (await readFile(left, 'utf8')).trim();
    // Whoever adopted it may not have waited for it yet.
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tgone');
    expect(status).toMatch(/^State:\s+(?:Z|gone)/m);
  });
});

describe('load and batch', () => {
  const SUM = server(`
    const rows = JSON.parse(String(body) || '{}').instances ?? [];
    json(200, { predictions: rows.map(([x]) => ({ y: x * 2 + (rows.length > 1 ? BIAS : 0) })), took: [1] });`);
  const batch = 'batch: { path: /predict, from: rows.json, answer: "$.predictions" }';

  test('a batch that is answered as its rows alone passes, within the tolerance', async () => {
    expect((await run(`const BIAS = 1e-5; ${SUM}`, batch)).verdict).toBe('passed');
    expect((await run(`const BIAS = 1e-5; ${SUM}`, 'batch: { from: rows.json }')).verdict).toBe('passed');
  });

  test('a batch that mixes its rows up fails, naming the row', async () => {
    const report = await run(`const BIAS = 1; ${SUM}`, batch);
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'assertion' });
    expect(problemsOf(report)[0]).toBe('row 1 in the batch: $.y: wanted 2, got 3 (rtol 0.001, atol 0.000001)');
  });

  test('a load measures what comes after the warm-up, and its thresholds are judged', async () => {
    const script = server(`calls += 1; json(200, { calls })`).replace('const http', 'let calls = 0; const http');
    const yaml = `
requests: [{ name: predict, request: { path: /predict, json: {} } }]
load: { iterations: 20, vus: 4, warmup: 2 }
thresholds: { http_req_duration: ['p(95)<60s'] }
`;
    const report = await run(script, yaml);
    expect(report.verdict).toBe('passed');
    expect(report.checks.find(({ name }) => name === 'load')?.summary).toMatch(
      /^20 of predict, 4 at a time: median \S+ ms, p95 \S+ ms$/,
    );
    expect(report.p95Ms).toBeGreaterThan(0);
  });

  test('a load that the server does not bear is red', async () => {
    const script = server(`calls += 1; json(calls > 5 ? 503 : 200, {})`).replace(
      'const http',
      'let calls = 0; const http',
    );
    const report = await run(script, 'requests: [{ request: { path: /p, json: {} } }]\nload: { iterations: 10 }');
    expect(report.exitReason).toBe('assertion');
    expect(problemsOf(report)[0]).toMatch(/^\d+ of 13 were not answered well: status: wanted 2xx, got 503$/);
    const dying = server(`calls += 1; if (calls > 5) process.exit(3); json(200, {})`).replace(
      'const http',
      'let calls = 0; const http',
    );
    const died = await run(dying, 'requests: [{ request: { path: /p, json: {} } }]\nload: { iterations: 10 }');
    expect(died.exitReason).toBe('process-exited');
  });
});

describe('openapi: true', () => {
  const described = (predict: string): string =>
    server(`
      const schema = { type: 'object', required: ['y'], properties: { y: { type: 'number' } } };
      const post = { responses: { 200: { content: { 'application/json': { schema } } } } };
      if (request.url === '/openapi.json') return json(200, { paths: { '/models/{id}/predict': { post } } });
      json(200, ${predict});`);
  const yaml = `requests: [{ request: { path: /models/7/predict, json: {} }, response: { openapi: true } }]`;

  test('compares an answer with what the server says of itself', async () => {
    expect((await run(described('{ y: 1 }'), yaml)).verdict).toBe('passed');
    expect(problemsOf(await run(described('{ y: "1" }'), yaml))).toEqual(['schema: $.y: wanted "number", got string']);
    expect(
      problemsOf(
        await run(server('json(404, {})'), `${yaml.replace('openapi: true', 'openapi: true, status: 404')}`),
      )[0],
    ).toContain('the server has no OpenAPI document');
    const other = yaml.replace('/models/7/predict', '/other');
    expect(problemsOf(await run(described('{ y: 1 }'), other))[0]).toContain(
      'POST /other is not in the OpenAPI document',
    );
  });
});

describe('how it is started', () => {
  test('env-from hands a variable over, and no report or file shows it', async () => {
    const logFile = join(folder, 'secret.log');
    const yaml =
      'run: { env-from: [TOKEN] }\nrequests: [{ request: { path: /p }, response: { jsonpath: { "$.t": x } } }]';
    const script = server(`json(200, { t: process.env.TOKEN })`);
    const report = await run(script, yaml, { env: { TOKEN: 'hf_canary' }, logFile });
    expect(problemsOf(report)[0]).toContain('got "***"');
    expect(JSON.stringify(report)).not.toContain('hf_canary');
    expect(await readFile(logFile, 'utf8')).toBe('hello, token is ***\n');
  });

  test('limits, mounts, a random user and a way out are read', async () => {
    const yaml = `
run:
  user: random
  network: egress
  resources: { cpus: 500m, memory: 2Gi }
  mounts: [{ source: model, target: /opt/ml/model, readOnly: true }]
`;
    const { run: section, isClosed } = await parseSpec(yaml, 's', [folder]);
    expect(section).toMatchObject({
      user: expect.stringMatching(/^[1-5]\d{4}:0$/) as unknown,
      network: 'egress',
      limits: { cpus: 0.5, memory: 2 ** 31 },
      mounts: [{ type: 'bind', source: join(folder, 'model'), target: '/opt/ml/model', readonly: true }],
    });
    // What lies in a folder is no part of what a pass is remembered by.
    expect(isClosed).toBe(false);
  });
});

describe('what is told', () => {
  test('the paths that were written, a new folder as one', () => {
    const changes = [
      { kind: 'changed', path: '/var' },
      { kind: 'added', path: '/var/cache' },
      { kind: 'added', path: '/var/cache/a' },
      { kind: 'deleted', path: '/srv/old' },
      { kind: 'changed', path: '/srv' },
      { kind: 'changed', path: '/app/state' },
      { kind: 'changed', path: '/etc/hosts' },
    ] as const;
    expect(writtenBy(changes, (text) => text)).toEqual({
      count: 6,
      paths: ['/var/cache', '/srv/old (deleted)', '/app/state'],
    });
  });

  test('JUnit has a case a check, and says everything that XML can say', () => {
    const xml = toJUnit(
      {
        verdict: 'failed',
        checks: [
          { name: 'ready', status: 'passed', milliseconds: 1500 },
          {
            name: 'a "b" <c>',
            status: 'failed',
            reason: 'assertion',
            summary: 'no & \u0007',
            failure: { problems: ['p'], log: ['l]]>'] },
          },
          { name: 'later', status: 'skipped', summary: 'not sent' },
        ],
      },
      'sha256:x',
    );
    expect(xml).toContain('tests="3" failures="1" errors="0" skipped="1" time="1.500"');
    expect(xml).toContain('<testcase classname="smoke" name="ready" time="1.500"/>');
    expect(xml).toContain('name="a &quot;b&quot; &lt;c&gt;"');
    expect(xml).toContain('<failure type="assertion" message="no &amp; ">p\nl]]&gt;</failure>');
    expect(xml).toContain('<skipped message="not sent"/>');
  });
});

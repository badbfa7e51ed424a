import { describe, expect, test } from '@jest/globals';
import { parseSpec, smoke, type SmokeReport, type SmokeSpec } from '../../../src/smoke/index.ts';
import { detectedPorts, looksLikeServer, startTestContainer } from '../../../src/smoke/container.ts';
import { readyCheck } from '../../../src/smoke/ready-check.ts';
import { waitReady } from '../../../src/smoke/ready.ts';
import { createProcessEngine, freePort, scriptImage } from '../../helpers/process-engine.ts';

/** A server that answers by a table: `METHOD path` → a body, or [status, body]; what is not there is 404. Time in it is `asked`, from 0. */
const server = (routes: string, before = ''): string => `
  let asked = 0;
  ${before}
  const start = (port, table) => require('node:http').createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part)).on('end', () => {
      asked += 1;
      const body = Buffer.concat(parts).toString();
      const found = table(body)[request.method + ' ' + request.url];
      const [status, value] = found === undefined ? [404, { error: 'not found' }] : Array.isArray(found) && typeof found[0] === 'number' ? found : [200, found];
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    });
  }).listen(port, '0.0.0.0');
  start(PORT, (body) => (${routes}));
  process.on('SIGTERM', () => process.exit(0));
`;

const INFER = '{ "inputs": [{ "name": "x", "shape": [1], "datatype": "FP32", "data": [1] }] }';

async function run(
  script: string,
  yaml: string,
  {
    env = [],
    change = (spec) => spec,
  }: { readonly env?: readonly string[]; readonly change?: (spec: SmokeSpec) => SmokeSpec } = {},
): Promise<SmokeReport> {
  const engine = createProcessEngine();
  const image = await scriptImage(script);
  const spec = await parseSpec(
    `{ ${yaml}, readinessProbe: { httpGet: { port: ${image.port} }, startupTimeoutSeconds: 4, periodSeconds: 0.1 } }`,
    's.yaml',
    [],
  );
  const config = { ...image.config, Env: env };
  const report = await smoke({ ...image, config }, { kind: 'spec', spec: change(spec) }, { engine });
  expect(engine.running()).toEqual([]);
  return report;
}

const told = ({ checks }: SmokeReport): readonly string[] =>
  checks
    .filter(({ name }) => name !== 'shutdown')
    .map(({ status, name, summary }) => `${status} ${name}: ${(summary ?? '').replace(/ on port \d+/g, '')}`);

const TRITON = `{
  'GET /v2/health/ready': {},
  'POST /v2/repository/index': JSON.parse(body || '{}').ready === true ? [{ name: 'iris', version: '1', state: 'READY' }] : [400, {}],
  'GET /v2/models/iris/ready': asked > 5 ? {} : [400, {}],
  'POST /v2/models/iris/infer': { model_name: 'iris', outputs: [{ name: 'y', shape: [1], datatype: 'FP32', data: [2] }] },
}`;

describe('a preset whose routes have the name of a model', () => {
  test('triton: asks the repository, waits for the model, sends the payload to it', async () => {
    expect(told(await run(server(TRITON), `preset: triton, payload: ${INFER}`))).toEqual([
      'passed ready: GET /v2/health/ready → 200',
      'passed model iris: GET /v2/models/iris/ready → 200',
      'passed predict: POST /v2/models/iris/infer → 200',
    ]);
  });

  test('open-inference: a server that has only the list of KServe is asked there', async () => {
    const routes = `{
      'GET /v2/health/ready': {},
      'GET /v2/models': { models: ['my model'] },
      'GET /v2/models/my%20model/ready': {},
      'POST /v2/models/my%20model/infer': { outputs: [{ data: [NaN] }] },
    }`;
    const report = await run(
      server(routes).replace('JSON.stringify(value)', "JSON.stringify(value).replace('null', 'NaN')"),
      `preset: open-inference, payload: ${INFER}`,
    );
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'non-finite' });
    expect(told(report)[1]).toBe('passed model my model: GET /v2/models/my%20model/ready → 200');
  });

  test('kserve-v1: a model that is listed and not ready is waited for', async () => {
    const routes = `{
      'GET /v1/models': { models: ['m'] },
      'GET /v1/models/m': { name: 'm', ready: asked > 5 },
      'POST /v1/models/m:predict': { predictions: [1] },
    }`;
    expect(told(await run(server(routes), 'preset: kserve-v1, payload: { instances: [[1]] }'))).toEqual([
      'passed ready: GET /v1/models → 200',
      'passed model m: GET /v1/models/m → 200',
      'passed predict: POST /v1/models/m:predict → 200',
    ]);
  });

  test.each([
    ['model', []],
    ['half', ['MODEL_NAME=half']],
  ])('tf-serving: is ready when a version of %s is available', async (name, env) => {
    const routes = `{
      'GET /v1/models/${name}': { model_version_status: [{ version: '1', state: asked > 2 ? 'AVAILABLE' : 'LOADING' }] },
      'POST /v1/models/${name}:predict': { predictions: [1] },
    }`;
    expect(told(await run(server(routes), 'preset: tf-serving, payload: { instances: [1] }', { env }))).toEqual([
      `passed ready: GET /v1/models/${name} → 200`,
      `passed predict: POST /v1/models/${name}:predict → 200`,
    ]);
  });

  test('tf-serving: a model that could not be loaded ends it', async () => {
    const routes = `{ 'GET /v1/models/model': { model_version_status: [{ version: '1', state: 'END', status: { error_code: 'NOT_FOUND' } }] } }`;
    expect(told(await run(server(routes), 'preset: tf-serving'))).toEqual([
      'failed ready: GET /v1/models/model says $.model_version_status[0].state is "END"',
    ]);
  });

  test('torchserve: the management port names the model and its workers; a route of a request may have the name too', async () => {
    const management = await freePort();
    const routes = `{
      'GET /ping': { status: 'Healthy' },
      'POST /predictions/resnet': [200, [1]],
    }`;
    const more = `process.nextTick(() => start(${management}, () => ({
      'GET /models': { models: [{ modelName: 'resnet', modelUrl: 'resnet.mar' }] },
      'GET /models/resnet': [200, [{ modelName: 'resnet', workers: [{ id: '9000', status: 'READY' }] }]],
    })));`;
    const change = (spec: SmokeSpec): SmokeSpec => {
      const { model } = spec;
      if (model?.probe === undefined) throw new Error('it knows models');
      return {
        ...spec,
        model: {
          ...model,
          queries: model.queries.map((query) => ({ ...query, port: management })),
          probe: { ...model.probe, port: management },
        },
      };
    };
    const yaml = `preset: torchserve, requests: [{ request: { path: "/predictions/{model}", json: {} } }]`;
    expect(told(await run(server(routes, more), yaml, { change }))).toEqual([
      'passed ready: GET /ping → 200',
      'passed model resnet: GET /models/resnet → 200',
      'passed POST /predictions/{model}: POST /predictions/resnet → 200',
    ]);
    // Bound to loopback as it is by default, the management says nothing; then the spec names the model.
    const closed = await run(server(routes), `${yaml}, model: resnet`, { change });
    expect(told(closed)).toEqual([
      'passed ready: GET /ping → 200',
      'passed POST /predictions/{model}: POST /predictions/resnet → 200',
    ]);
    const silent = await run(server(routes), yaml, { change });
    expect(silent).toMatchObject({ verdict: 'failed', exitReason: 'assertion' });
    expect(silent.checks[1]).toMatchObject({ name: 'model', hint: 'Write `model: NAME` in the smoke test' });
    expect(silent.checks[2]).toMatchObject({ status: 'skipped' });
  });
});

describe('a server that is ready', () => {
  test('and has no model is not ready', async () => {
    const routes = `{ 'GET /v2/health/ready': {}, 'POST /v2/repository/index': [200, []] }`;
    const report = await run(server(routes), `preset: open-inference, payload: ${INFER}`);
    expect(report).toMatchObject({ verdict: 'failed', exitReason: 'not-ready' });
    expect(report.checks[1]?.summary).toContain('it is ready, and has no model: POST /v2/repository/index');
  });

  test('and has several models is asked for the one that the spec names, or for the readiness of all', async () => {
    const routes = `{
      'GET /v2/health/ready': {},
      'POST /v2/repository/index': [200, [{ name: 'a' }, { name: 'b' }]],
      'GET /v2/models/a/ready': {}, 'GET /v2/models/b/ready': {},
      'POST /v2/models/b/infer': { outputs: [1] },
    }`;
    const report = await run(server(routes), `preset: triton, payload: ${INFER}`);
    expect(report.checks[1]).toMatchObject({
      status: 'failed',
      summary: 'the server has 2 models: a, b',
      hint: 'Write which one is asked: model: a',
    });
    expect((await run(server(routes), `preset: triton, payload: ${INFER}, model: b`)).verdict).toBe('passed');
    expect(told(await run(server(routes), 'preset: triton')).slice(1)).toEqual([
      'passed model a: GET /v2/models/a/ready → 200',
      'passed model b: GET /v2/models/b/ready → 200',
    ]);
  });

  test('is taken at its word by auto, which knows it by a variable, and told of as a warning', async () => {
    const engine = createProcessEngine();
    const image = await scriptImage(server(`{ 'GET /v2/health/ready': {}, 'POST /v2/repository/index': [200, []] }`));
    const config = { ...image.config, Env: ['MLSERVER_MODELS_DIR=/mnt/models'], Cmd: ['mlserver', 'start', '.'] };
    const report = await smoke({ ...image, config }, { kind: 'auto' }, { engine });
    expect(report).toMatchObject({
      verdict: 'passed',
      checks: [{ name: 'ready' }, { name: 'model', status: 'warning' }, {}, {}],
    });
  });
});

test('a load and a threshold find a request by the name that it was given, with the place of the model in it', async () => {
  const yaml = `preset: triton, model: iris, requests: [{ name: "ask {model}", request: { path: "/v2/models/{model}/infer", json: {} } }],
    load: { iterations: 2, warmup: 0, request: "ask {model}" }, thresholds: { "http_req_duration{name:ask {model}}": "max<60s" }`;
  const report = await run(server(TRITON.replace('asked > 5', 'true')), yaml);
  expect(told(report).filter((row) => !row.startsWith('passed'))).toEqual([]);
  expect(report.checks.map(({ name }) => name)).toContain('load');
});

describe('a kind of server that was only guessed', () => {
  const triton = { Env: ['TRITON_SERVER_VERSION=2.50'] };

  test('is none where the variable is of the base image and the command another one', () => {
    expect(looksLikeServer({ ...triton, Cmd: ['python3', 'convert.py'] })).toBe(false);
    expect(looksLikeServer({ ...triton, Cmd: ['sh', '-c', 'tritonserver --model-repository=/m'] })).toBe(true);
  });

  test.each([
    ['MLSERVER_MODELS_DIR=/m', ['mlserver', 'start', '/m'], ['python', 'train.py']],
    ['BENTO_PATH=/home/bentoml/bento', ['bentoml', 'serve', '.'], ['python3', 'export.py']],
    ['R8_COG_VERSION=0.14', ['python', '-m', 'cog.server.http'], ['python', 'train.py']],
    ['AIP_HTTP_PORT=8080', ['uvicorn', 'app:app'], ['/usr/bin/python3.12']],
  ])('%s is read where there is such a server to run', (variable, server, other) => {
    expect(looksLikeServer({ Env: [variable], Cmd: server })).toBe(true);
    expect(looksLikeServer({ Env: [variable], Cmd: other })).toBe(false);
    expect(looksLikeServer({ Env: [variable] })).toBe(false);
    // EXPOSE says it, whatever the base image was.
    expect(looksLikeServer({ Env: [variable], Cmd: other, ExposedPorts: { '80/tcp': {} } })).toBe(true);
  });

  test('is known by its label where `serve` takes the place of the command', () => {
    const Labels = { 'com.amazonaws.sagemaker.capabilities.multi-models': 'true' };
    expect(looksLikeServer({ Labels })).toBe(true);
    expect(looksLikeServer({ Labels, Cmd: ['python3'] })).toBe(true);
  });

  test('is looked for at the ports of the image before its own', async () => {
    const spec = await parseSpec('preset: tf-serving', 's.yaml', []);
    expect(detectedPorts(spec, { ExposedPorts: { '5000/tcp': {} } })).toEqual([5000, 8501]);
    expect(detectedPorts(spec, { ExposedPorts: { '8500/tcp': {}, '8501/tcp': {} } })).toEqual([8501]);
    expect(detectedPorts(spec, {})).toEqual([8501]);
  });

  test('is taken for a plain server, with a warning, when it does not know the path for long', async () => {
    const image = await scriptImage(server(`{ 'GET /health': {} }`));
    const [spec, { readinessProbe: probe }] = await Promise.all([
      parseSpec('{ preset: triton, readinessProbe: { periodSeconds: 0.1 } }', 's.yaml', []),
      parseSpec('{ readinessProbe: { periodSeconds: 0.1 } }', 's.yaml', []),
    ]);
    const ports = [image.port];
    const container = await startTestContainer(createProcessEngine(), image, spec, { ports });
    try {
      const fallback = { probe, afterSeconds: 0.3 };
      const ready = await waitReady(container, spec.readinessProbe, { ports, fallback });
      expect(ready).toMatchObject({ kind: 'ready', path: '/health' });
      const row = await readyCheck(container, ready, (text) => text);
      expect(row.status).toBe('warning');
      expect(row.summary).toContain('GET /v2/health/ready on port');
    } finally {
      await container.stop(1);
    }
  });
});

test.each([
  ['preset: fastapi\nmodel: x', 's.yaml:2:8: `model` needs a preset that knows models'],
  ['requests: [{ request: { path: "/predictions/{model}" } }]', '`{model}` in a path needs a preset that knows models'],
  ['readinessProbe: { httpGet: { path: "/m/{model}" } }', 's.yaml:1:36: `{model}` in a path needs a preset'],
  [
    'preset: triton\nreadinessProbe: { httpGet: { path: "/m/{model}" } }',
    's.yaml:2:36: `{model}` in the path of readinessProbe needs the name',
  ],
  ['preset: triton\nmodel: "a\\uD800"', 's.yaml:2:8: `model` has half a character'],
])('%s is refused', async (yaml, message) => {
  await expect(parseSpec(yaml, 's.yaml', [])).rejects.toThrow(message);
});

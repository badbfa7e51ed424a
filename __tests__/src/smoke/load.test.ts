import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadSmokeTest, parseSpec, SmokeSpecError } from '../../../src/smoke/index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-spec-'));
  await mkdir(join(folder, 'ci'));
  await writeFile(join(folder, 'row.json'), '{"features":[1,2]}');
  await writeFile(join(folder, 'ci/beside.json'), '[1]');
  await writeFile(join(folder, 'broken.json'), '{"a":');
  await symlink('/etc/hosts', join(folder, 'out'));
  await writeFile(join(folder, 'draft7.json'), '{"$schema":"http://json-schema.org/draft-07/schema#"}');
  await writeFile(
    join(folder, 'ci/smoke.yaml'),
    'requests: [{ request: { path: /p, json: row.json } }, { request: { path: /p, json: beside.json } }]',
  );
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const load = (value: string): ReturnType<typeof loadSmokeTest> => loadSmokeTest(value, { workingDirectory: folder });

describe('loadSmokeTest', () => {
  test('reads no spec that is itself a link out of the workspace', async () => {
    await expect(load('out')).rejects.toThrow('Cannot use "out" as smoke test: it is a link that leads out of the');
    await expect(load('/etc/hosts')).rejects.not.toThrow('link');
  });

  test.each([
    ['auto', 'auto'],
    ['', 'auto'],
    ['off', 'off'],
    ['structure-only', 'structure'],
    ['false', 'off'],
  ])('takes %p as %s', async (value, kind) => {
    expect(await load(value)).toEqual({ kind });
  });

  test('masks what a variable in plain text holds when its name says that it is secret', async () => {
    const { run } = await parseSpec('run: { env: { API_KEY: abcdefgh12, MODE: production } }', 's.yaml', []);
    expect(run.secrets).toEqual(['abcdefgh12']);
  });

  test('takes one line of YAML, whose payload goes to the route of the preset', async () => {
    const loaded = await load('{ preset: fastapi, payload: row.json }');
    expect(loaded).toMatchObject({
      kind: 'spec',
      spec: { requests: [{ name: 'predict', request: { method: 'POST', path: '/predict', curlBody: '@row.json' } }] },
    });
  });

  test('takes the JSON of a curl line, quotes and all', async () => {
    const loaded = await load(`preset: fastapi\npayload: '{"features": [1.50]}'`);
    expect(loaded).toMatchObject({ spec: { requests: [{ request: { curlBody: '{"features": [1.50]}' } }] } });
  });

  test('finds the files of a spec beside it and in the working directory', async () => {
    const loaded = await load('ci/smoke.yaml');
    if (loaded.kind !== 'spec') throw new Error('it is a spec');
    const bodies = loaded.spec.requests.map(({ request }) => Buffer.from(request.body ?? []).toString());
    expect(bodies).toEqual(['{"features":[1,2]}', '[1]']);
  });

  test.each([
    ['ci/smok.yaml', 'there is no such file, and it is no YAML mapping'],
    ['ci', 'it is no file'],
    ['auto-ish', 'there is no such file'],
  ])('refuses %p: %s', async (value, state) => {
    await expect(load(value)).rejects.toMatchObject({
      code: 'SMOKE_SPEC_NOT_FOUND',
      message: expect.stringContaining(state),
    });
  });
});

describe('a good spec', () => {
  test('has the defaults of the specification', async () => {
    const spec = await parseSpec('requests: [{ request: { path: /predict, json: { a: 1 } } }]', 's', [folder]);
    expect(spec).toMatchObject({
      run: { env: {}, readOnly: false, network: 'none' },
      readinessProbe: {
        periodSeconds: 1,
        successThreshold: 1,
        startupTimeoutSeconds: 120,
        paths: expect.arrayContaining(['/health']),
      },
      shutdown: { timeoutSeconds: 10, exitCodes: [0, 143], required: false },
    });
    expect(spec.requests[0]).toMatchObject({
      name: 'POST /predict',
      request: { method: 'POST', headers: { 'content-type': 'application/json' } },
      response: { status: [{ class: 2 }], finite: true },
    });
  });

  test('takes every part that this version does', async () => {
    const text = `
version: 1
run: { env: { LOG_LEVEL: info, WORKERS: 2 }, args: [serve], user: "1000:0", network: none, readOnly: true }
readinessProbe:
  httpGet: { path: /ping, port: 8080 }
  periodSeconds: 0.5
  timeoutSeconds: 3
  successThreshold: 2
  startupTimeoutSeconds: 480
  jsonpath: { '$.status': READY }
  failWhen: { '$.status': [SETUP_FAILED, DEFUNCT] }
requests:
  - name: one row
    request: { method: PUT, path: /invocations, headers: { X-Key: 1 }, body: row.json }
    response:
      status: [200, 202, 4xx]
      headers: { content-type: application/json, x-id: { isUuid: true } }
      schema: { type: object }
      jsonpath: { '$.p[0].score': { '>=': 0, '<=': 1 }, '$.p': { count: 1 } }
      golden: { file: row.json, rtol: 1.0e-4, atol: 1.0e-6, ignore: ['$.request_id'] }
      finite: false
    repeat: { times: 20, same: { rtol: 1.0e-5 } }
thresholds:
  startup: ['value<60s']
  memory_peak: 'value<1500Mi'
  'http_req_duration{name:one row}': ['p(95)<500', 'avg<0.2s']
shutdown: { timeoutSeconds: 3, exitCodes: [0] }
`;
    const spec = await parseSpec(text, 's', [folder]);
    expect(spec.run).toEqual({
      env: { LOG_LEVEL: 'info', WORKERS: '2' },
      args: ['serve'],
      user: '1000:0',
      network: 'none',
      readOnly: true,
      secrets: [],
      limits: undefined,
      mounts: [],
    });
    expect(spec.requests[0]?.response.status).toEqual([{ code: 200 }, { code: 202 }, { class: 4 }]);
    expect(spec.thresholds).toMatchObject([
      { metric: 'startup', limit: 60 },
      { metric: 'memory_peak', limit: 1500 * 2 ** 20 },
      { metric: 'http_req_duration', request: 'one row', aggregate: { percentile: 95 }, limit: 500 },
      { metric: 'http_req_duration', aggregate: 'avg', limit: 200 },
    ]);
  });
});

describe('a bad spec names the place and what to type', () => {
  test.each([
    ['{ requests: [{ request: { path: /p, json: { a: !!binary aGk= } } }] }', 'binary'],
    ['requests: [{ request: { path: /p, json: !!set { ? a } } }]', 'set'],
    ['!!binary a: 1', 'binary'],
  ])('that has a value of a tag that JSON does not have: %s', async (text, tag) => {
    await expect(parseSpec(text, 's.yaml', [])).rejects.toThrow(`the tag tag:yaml.org,2002:${tag} is not taken`);
  });

  test('and takes the tags of plain values', async () => {
    const spec = await parseSpec('run: { env: !!map { A: !!str 1 } }', 's.yaml', []);
    expect(spec.run.env).toEqual({ A: '1' });
  });

  test.each([
    'model: { ? [a, b] : c }',
    'requests: [{ request: { path: /p, json: { ? { a: 1 } : 2 } } }]',
    'a: &it [1]\n? *it\n: b',
  ])('whose key is no text: %s', async (text) => {
    await expect(parseSpec(text, 's.yaml', [])).rejects.toThrow(
      'a key is a list or a mapping, and only text can be one',
    );
  });

  const req = (inside: string): string => `requests:\n  - request: { path: /p }\n    ${inside}\n`;
  const table: readonly [string, string, string, string | undefined][] = [
    ['a typo', 'version: 1\nreadinesProbe: {}', 's.yaml:2:1: unknown key `readinesProbe`', 'Did you mean `readinessProbe`?'],
    ['a typo deep inside', req('response: { statuss: 200 }'), 's.yaml:3:17: unknown key `statuss` in `requests[0].response`', 'Did you mean `status`?'],
    ['a route beside its request', 'requests: [{ path: /p }]', 'unknown key `path` in `requests[0]`', 'Write it under `request:`'],
    ['a status beside its response', req('status: 200'), 'unknown key `status` in `requests[0]`', 'Write it under `response:`'],
    ['a variable at the top', 'env: { A: 1 }', 'unknown key `env`', 'Write it under `run:`'],
    ['JSON as body', 'requests: [{ request: { path: /p, body: { a: 1 } } }]', '`requests[0].request.body` is a mapping: wanted a file whose bytes are sent (JSON written here goes under `json`)', undefined],
    ['a name that is nothing like another', 'run: { zzz: 1 }', 's.yaml:1:8: unknown key `zzz`', 'Known here: env, args, user, network, readOnly, env-from, resources, mounts, platform'],
    ['a batch without rows', 'batch: {}', 's.yaml:1:8: `batch` needs `from`', undefined],
    ['a batch of one row', 'batch: { from: [1] }', '`batch.from` holds 1 rows: wanted a list of 2 to 100 rows', undefined],
    ['a load of nothing', 'load: { iterations: 5 }', '`load` needs a request to repeat', 'Write it under requests, or as payload of a preset'],
    ['a load of an unknown request', 'requests: [{ request: { path: /p } }]\nload: { iterations: 5, request: x }', 'there is no request named `x`', undefined],
    ['structure tests that are no files', 'structure-tests: { a: 1 }', '`structure-tests` is a mapping: wanted files of container-structure-test', undefined],
    ['a file outside the workspace', 'requests: [{ request: { path: /p, json: /etc/hosts } }]', 's.yaml:1:41: /etc/hosts leads out of the workspace', undefined],
    ['a link that leads out', 'requests: [{ request: { path: /p, body: out } }]', 'out leads out of the workspace', undefined],
    ['a report elsewhere', 'report: { junit: ../x.xml }', '`report.junit` is "../x.xml": wanted a file below the working directory', undefined],
    ['a mount from elsewhere', 'run: { mounts: [{ source: /etc, target: /x }] }', 's.yaml:1:17: /etc leads out of the workspace', undefined],
    ['a mount of nothing', 'run: { mounts: [{ source: nope, target: /x }] }', 'there is no nope to mount', undefined],
    ['a quantity that is none', 'run: { resources: { memory: much } }', '`run.resources.memory` is "much": wanted a quantity such as 2Gi', undefined],
    ['a variable that is not there', 'run: { env-from: [ABSENT] }', 's.yaml:1:19: there is no variable ABSENT to take over', undefined],
    ['another machine', 'run: { platform: linux/s390x }', 'this machine cannot run linux/s390x', 'Test it on a runner of that kind'],
    ['an empty form', 'requests: [{ request: { path: /p, multipart: {} } }]', '`requests[0].request.multipart` is a mapping: wanted names, and for each a value', undefined],
    ['a part that is none', 'requests: [{ request: { path: /p, multipart: { a: { path: x } } } }]', 'multipart', undefined],
    ['a file of a form that is not there', 'requests: [{ request: { path: /p, multipart: { a: { file: nope.jpg } } } }]', 's.yaml:1:51: there is no file nope.jpg', undefined],
    ['a stream with a typo', req('response: { sse: { minEvent: 3 } }'), 'unknown key `minEvent`', 'Did you mean `minEvents`?'],
    ['openapi with a route', 'openapi: /openapi.json', '`openapi` is "/openapi.json": wanted true also sends the examples', undefined],
    ['a field of Kubernetes', 'readinessProbe: { failureThreshold: 3 }', '`failureThreshold` is not supported yet', 'Use startupTimeoutSeconds'],
    ['an unknown preset', 'preset: seldon', 's.yaml:1:9: there is no preset `seldon`', 'Presets: fastapi, sagemaker, vertex-ai, mlflow, cog, bentoml, litserve, openai, triton, open-inference, kserve-v1, tf-serving, torchserve; or write readinessProbe and requests'],
    ['a payload without a preset', 'payload: row.json', '`payload` needs a preset', undefined],
    ['another version', 'version: 2', 's.yaml:1:10: `version` is 2: wanted 1', undefined],
    ['a status that is none', req('response: { status: 20x }'), 's.yaml:3:25: `requests[0].response.status` is "20x": wanted 200, 2xx or a list such as [200, 202]', undefined],
    ['a status in a list', req('response: { status: [200, 999] }'), '`requests[0].response.status[1]` is 999', undefined],
    ['a path without a slash', 'requests: [{ request: { path: predict } }]', '`requests[0].request.path` is "predict": wanted a path that starts with /', undefined],
    ['a request to the machine or its metadata', 'requests: [{ request: { path: "http://169.254.169.254/latest/" } }]', '`requests[0].request.path` is "http://169.254.169.254/latest/": wanted a path that starts with /', undefined],
    ['a request without a path', 'requests: [{ request: {} }]', '`requests[0].request` needs `path`', undefined],
    ['a port that is none', 'readinessProbe: { httpGet: { port: 70000 } }', 'is 70000: wanted a port number from 1 to 65535', undefined],
    ['json and body', 'requests: [{ request: { path: /p, json: {}, body: row.json } }]', 'a request has one body, not `json` and `body`', undefined],
    ['a header name that is none', "requests: [{ request: { path: /p, headers: { 'a b': x } } }]", '`a b` cannot be a name here', undefined],
    ['a file that is not there', 'requests: [{ request: { path: /p, json: nope.json } }]', 's.yaml:1:41: there is no file nope.json', undefined],
    ['a payload that is no JSON', 'requests: [{ request: { path: /p, json: broken.json } }]', 'broken.json is no JSON: expected a value, found the end of the text', undefined],
    ['a JSONPath that is none', req("response: { jsonpath: { '$.[': 1 } }"), '`$.[` is no JSONPath', undefined],
    ['a JSONPath with an unbounded pattern', req(`response: { jsonpath: { "$[?match(@.a, '(a+)+')]": { count: 1 } } }`), 'match() and search() are not available', undefined],
    ['an unknown predicate', req("response: { jsonpath: { '$.a': { greaterThan: 1 } } }"), 'unknown key `greaterThan`', undefined],
    ['a pattern that is none', req("response: { jsonpath: { '$.a': { matches: '(' } } }"), 'Invalid regular expression', undefined],
    ['a schema that is none', req('response: { schema: { type: nonsense } }'), 'it is no JSON Schema', undefined],
    ['another dialect', req('response: { schema: draft7.json }'), 'is not supported: use https://json-schema.org/draft/2020-12/schema', undefined],
    ['a schema elsewhere', req("response: { schema: { $ref: 'https://example.org/s.json' } }"), "it is no JSON Schema: can't resolve reference", undefined],
    ['a threshold that is none', "thresholds: { startup: ['quick'] }", "s.yaml:1:24: wanted an expression such as 'value<60s'", undefined],
    ['a percentile of a single value', "thresholds: { startup: ['p(95)<3'] }", 'startup has no p(95)', undefined],
    ['a unit of another kind', "thresholds: { startup: ['value<3Mi'] }", 'unknown unit Mi: wanted ms, s or m', undefined],
    ['an unknown metric', "thresholds: { memorypeak: ['value<3Mi'] }", 'unknown key `memorypeak`', 'Did you mean `memory_peak`?'],
    ['a key twice', 'version: 1\nversion: 1', 's.yaml:2:1: Map keys must be unique', undefined],
    ['a YAML tag', 'version: !!js/function "x"', 's.yaml:1:10:', undefined],
    ['a YAML bomb', `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]`, 'alias', undefined],
    ['a list', '- a', 'the smoke test is a list: wanted a mapping', undefined],
    ['nothing', '', 'the smoke test is empty: wanted a mapping', undefined],
    ['a negative tolerance', req('response: { golden: { file: row.json, rtol: -1 } }'), 'wanted a number of at least 0', undefined],
  ]; // prettier-ignore

  test.each(table)('%s', async (_name, text, message, hint) => {
    const error: unknown = await parseSpec(text, 's.yaml', [folder]).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(SmokeSpecError);
    if (!(error instanceof SmokeSpecError)) return;
    expect(error.message).toContain(message);
    if (hint !== undefined) expect(error.hint).toBe(hint);
    expect(error.location).toMatchObject({ file: 's.yaml' });
  });

  test('tells every problem at once, and excerpts the first', async () => {
    const text = 'version: 1\nruun: {}\nrequests:\n  - request: { path: /p, json: nope.json }\n    respons: {}\n';
    await expect(parseSpec(text, 's.yaml', [])).rejects.toMatchObject({
      message:
        'Cannot use the smoke test: s.yaml has 2 problems\n  s.yaml:2:1: unknown key `ruun`\n  s.yaml:5:5: unknown key `respons` in `requests[0]`',
      location: { startLine: 2, excerpt: '    1 | version: 1\n>   2 | ruun: {}\n    3 | requests:' },
    });
  });
});

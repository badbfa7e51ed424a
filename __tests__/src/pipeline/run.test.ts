import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EngineError, type BuildResult, type Digest, type Engine } from '../../../engine/index.ts';
import {
  formatReport,
  runPipeline,
  type PassedBefore,
  type PassKey,
  type PipelineEngine,
  type PipelineRequest,
} from '../../../src/pipeline/index.ts';
import { createProcessEngine, freePort } from '../../helpers/process-engine.ts';

const DIGEST: Digest = `sha256:${'a'.repeat(64)}`;
const OTHER: Digest = `sha256:${'b'.repeat(64)}`;

const server = (port: number, status: number): string => `
  require('node:http').createServer((request, response) => {
    console.log(request.method + ' ' + request.url);
    const predict = request.url === '/predict';
    response.writeHead(predict ? ${status} : 200, { 'content-type': 'application/json' });
    response.end(predict ? '{"prediction":1}' : '{"status":"ok"}');
  }).listen(${port}, '0.0.0.0');
  process.on('SIGTERM', () => process.exit(0));
`;

/** An engine whose image is a script and whose registry answers with `pushed`. */
async function fakeEngine(options: {
  readonly status?: number;
  readonly pushed?: readonly Digest[];
}): Promise<PipelineEngine & { readonly calls: string[] }> {
  const port = await freePort();
  const calls: string[] = [];
  const script = server(port, options.status ?? 200);
  const processes = createProcessEngine();
  const pushed = [...(options.pushed ?? [DIGEST, DIGEST, DIGEST])];
  return {
    calls,
    build: async (request, act) => {
      calls.push(`build ${request.target ?? ''}`);
      act?.onEvent?.({ type: 'vertex', id: 'v1', name: '[1/1] RUN make', started: 1000, completed: 3000 });
      const build: BuildResult = {
        // The id of the image is what `run` is asked for: here, the script itself.
        imageId: script as Digest,
        manifest: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: 1 },
        names: [],
        config: { ExposedPorts: { [`${port}/tcp`]: {} } },
        steps: { total: 1, cached: 0, executed: 1 },
        warnings: [],
        size: 1000,
      };
      return build;
    },
    push: async (_image, name) => {
      calls.push(`push ${name}`);
      const digest = pushed.shift() ?? DIGEST;
      return { name, digest, uploaded: { blobs: 2, bytes: 1500 }, existed: 1, mounted: 0 };
    },
    images: {
      ...processes.images,
      complete: async () => ({ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: 1 }),
      tag: async (_source, target) => void calls.push(`tag ${target}`),
      resolve: async () => ({ size: 1000 }) as Awaited<ReturnType<Engine['images']['resolve']>>,
    },
    containers: processes.containers,
  };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-pipeline-'));
  await writeFile(join(folder, 'row.json'), '{"features":[1]}');
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const request = (changes: Partial<PipelineRequest> = {}): PipelineRequest => ({
  context: folder,
  tags: ['registry.example/me/model:1', 'registry.example/me/model:latest'],
  push: true,
  smokeTest: '{ preset: fastapi, payload: row.json }',
  workingDirectory: folder,
  ...changes,
});

describe('runPipeline', () => {
  test('does not start again what passed the same test before, unless it is to be pushed', async () => {
    const engine = await fakeEngine({});
    const asked: PassKey[] = [];
    const passedBefore: PassedBefore = (key) => {
      asked.push(key);
      return { verdict: 'passed', passedIn: 'run 7', checks: [] };
    };
    const remembered = await runPipeline(request({ push: false }), { engine, passedBefore });
    expect(remembered).toMatchObject({ ok: true, testedDigest: DIGEST, smoke: { passedIn: 'run 7' } });
    expect(formatReport(remembered)).toContain('smoke test: not started again, passed in run 7');
    await runPipeline(request({ push: false, smokeTest: '{ preset: fastapi, payload: [1] }' }), {
      engine,
      passedBefore,
    });
    expect(new Set(asked.map(({ test: fingerprint }) => fingerprint)).size).toBe(2);
    const pushed = await runPipeline(request(), { engine, passedBefore });
    expect(pushed.smoke?.passedIn).toBeUndefined();
    expect(pushed.passKey).toEqual(asked[0]);
    expect(asked).toHaveLength(2);
  });

  test('pushes the tested digest under every tag', async () => {
    const engine = await fakeEngine({});
    const result = await runPipeline(request(), { engine });
    expect(result).toMatchObject({
      ok: true,
      testedDigest: DIGEST,
      pushedDigest: DIGEST,
      smoke: { verdict: 'passed' },
    });
    expect(engine.calls).toEqual([
      'build ',
      'tag registry.example/me/model:1',
      'tag registry.example/me/model:latest',
      'push registry.example/me/model:1',
      'push registry.example/me/model:latest',
    ]);
    expect(formatReport(result).trimEnd().split('\n').at(-1)).toBe(`✔ tested ${DIGEST} == pushed ${DIGEST}`);
  });

  test('neither names nor pushes an image whose predict fails', async () => {
    const engine = await fakeEngine({ status: 500 });
    const result = await runPipeline(request(), { engine });
    expect(result).toMatchObject({ ok: false, failedStep: 'smoke', exitReason: 'readiness-lied', pushes: [] });
    expect(engine.calls).toEqual(['build ']);
    const report = formatReport(result);
    expect(report).toContain('--data-binary @row.json');
    expect(report).toContain('status:   500');
    expect(report).toContain('| POST /predict');
    expect(report).toContain('✘ readiness-lied: nothing was vouched for, nothing was pushed');
  });

  test('fails when the registry has another digest, and says which tag to delete', async () => {
    const engine = await fakeEngine({ pushed: [DIGEST, OTHER] });
    const result = await runPipeline(request(), { engine });
    expect(result).toMatchObject({ ok: false, failedStep: 'compare', exitReason: 'digest-mismatch' });
    expect(result.pushedDigest).toBeUndefined();
    const report = formatReport(result);
    expect(report).toContain(`tested ${DIGEST}, pushed ${OTHER}`);
    expect(report).not.toContain(' == ');
  });

  test('finds a typo in the smoke test before it builds', async () => {
    const engine = await fakeEngine({});
    const result = await runPipeline(request({ smokeTest: '{ preset: fastapi, paylod: row.json }' }), { engine });
    expect(result).toMatchObject({ ok: false, failedStep: 'check', exitReason: 'invalid-request' });
    expect(formatReport(result)).toContain('hint: Did you mean `payload`?');
    expect(engine.calls).toEqual([]);
  });

  test('does not build what it could not push for want of a tag', async () => {
    const engine = await fakeEngine({});
    const result = await runPipeline(request({ tags: [] }), { engine });
    expect(result).toMatchObject({ ok: false, error: expect.objectContaining({ code: 'NO_TAGS' }) });
    expect(engine.calls).toEqual([]);
  });

  test('gives the error of a failed build with its place', async () => {
    const engine = await fakeEngine({});
    const location = { file: 'Dockerfile', startLine: 3, endLine: 3, excerpt: '>   3 | RUN false' };
    const error = new EngineError('STEP_FAILED', 'Cannot run `false`: it exited with 1', {
      location,
      hint: 'berth run -it abc sh',
    });
    const result = await runPipeline(request(), { engine: { ...engine, build: () => Promise.reject(error) } });
    expect(result).toMatchObject({ ok: false, failedStep: 'build', exitReason: 'build-failed', error });
    expect(formatReport(result)).toContain('>   3 | RUN false\nhint: berth run -it abc sh');
  });

  test('says loudly that an image is pushed untested', async () => {
    const engine = await fakeEngine({});
    const result = await runPipeline(request({ smokeTest: 'off' }), { engine });
    expect(formatReport(result)).toContain(`! UNTESTED ${DIGEST} == pushed ${DIGEST}`);
  });

  test('names but does not push without `push`', async () => {
    const engine = await fakeEngine({});
    const result = await runPipeline(request({ push: false }), { engine });
    expect(engine.calls).not.toContainEqual(expect.stringMatching(/^push/));
    expect(formatReport(result)).toContain(`✔ tested ${DIGEST} (not pushed: push is not set)`);
  });

  test('rejects with the reason when it is cancelled', async () => {
    const engine = await fakeEngine({});
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const cancelling: PipelineEngine = {
      ...engine,
      build: async (spec, act) => {
        controller.abort(reason);
        return await engine.build(spec, act);
      },
    };
    await expect(runPipeline(request(), { engine: cancelling, signal: controller.signal })).rejects.toBe(reason);
    expect(engine.calls).toEqual(['build ']);
  });
});

describe('formatReport', () => {
  test('draws a bar for each step, and no colour unless asked for', async () => {
    const engine = await fakeEngine({});
    const result = await runPipeline(request(), { engine });
    const timeline = result.timeline.map((vertex) => vertex.name);
    expect(timeline).toEqual(expect.arrayContaining(['[1/1] RUN make', 'wait until it is ready', 'request predict']));
    expect(formatReport(result)).not.toContain('\u001b');
    expect(formatReport(result, { color: true })).toContain('\u001b[32m✔ tested');
    expect(
      formatReport({
        ...result,
        timeline: [
          { type: 'vertex', id: 'a', name: 'half', started: 0, completed: 500 },
          { type: 'vertex', id: 'b', name: 'all', started: 0, completed: 1000 },
        ],
      }),
    ).toMatch(/half +█{15}·{15} +0\.5 s\n. all +█{30} +1\.0 s/);
  });
});

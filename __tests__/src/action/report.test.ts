import { describe, expect, test } from '@jest/globals';
import { EngineError, type Digest, type VertexEvent } from '../../../engine/index.ts';
import { annotationsOf } from '../../../src/action/annotations.ts';
import { gantt, nameSteps } from '../../../src/action/gantt.ts';
import { block, code, escapeMarkdown } from '../../../src/action/markdown.ts';
import { outputsOf } from '../../../src/action/outputs.ts';
import { firstLine, formatSummary } from '../../../src/action/report.ts';
import { verdict, type PipelineResult } from '../../../src/pipeline/index.ts';

const DIGEST: Digest = `sha256:${'a'.repeat(64)}`;
const OPTIONS = { cache: 'hit', isolation: 'root', push: true, redact: (text: string) => text };

function vertex(id: string, name: string, from: number, to: number, more: Partial<VertexEvent> = {}): VertexEvent {
  return { type: 'vertex', id, name, started: from, completed: to, ...more };
}

function result(more: Partial<PipelineResult> = {}): PipelineResult {
  return {
    ok: true,
    given: false,
    build: {
      imageId: DIGEST,
      manifest: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: 500 },
      names: [],
      config: {},
      steps: { total: 4, cached: 3, executed: 1 },
      warnings: [],
      size: 1_000_000,
    },
    smoke: {
      verdict: 'passed',
      checks: [{ name: 'predict', status: 'passed', milliseconds: 84 }],
      readySeconds: 3.14,
      firstPredictMs: 84.2,
      memoryPeak: { bytes: 412_000_000, source: 'cgroup' },
    },
    testedDigest: DIGEST,
    pushes: [{ name: 'ghcr.io/me/a:1', digest: DIGEST, uploaded: { blobs: 1, bytes: 10 }, existed: 2, mounted: 0 }],
    pushedDigest: DIGEST,
    milliseconds: 12_000,
    timeline: [
      vertex('x', '[1/2] RUN ```\n::evil:: |', 0, 2000),
      vertex('smoke', 'smoke test', 2000, 3000),
      vertex('push a', 'pushing a', 3000, 4000),
    ],
    ...more,
  };
}

describe('summary', () => {
  test('says in its first line what counts', () => {
    expect(firstLine(result())).toBe(
      `### ✔ tested ${DIGEST} = pushed ${DIGEST} · ready 3.1 s · first predict 84 ms · 412 MB peak`,
    );
    expect(firstLine(result({ smoke: { verdict: 'off', checks: [] } }))).toBe(
      `### ⚠ UNTESTED ${DIGEST} · pushed ${DIGEST}`.replace(' · pushed', ' pushed'),
    );
    expect(firstLine(result({ ok: false, exitReason: 'not-ready' }))).toMatch(/^### ✘ not-ready/);
  });

  test('says of several platforms which was tested, and which were only built', () => {
    const member: Digest = `sha256:${'b'.repeat(64)}`;
    const other: Digest = `sha256:${'c'.repeat(64)}`;
    const platforms = (['amd64', 'arm64'] as const).map((architecture, at) => {
      const digest = at === 0 ? member : other;
      const manifest = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 };
      return { platform: { os: 'linux', architecture }, imageId: digest, manifest };
    });
    const one = result();
    const several = result({ build: one.build && { ...one.build, platforms }, testedDigest: member });
    expect(firstLine(several)).toBe(
      `### ✔ tested ${member} (linux/amd64) in pushed ${DIGEST} · built only linux/arm64 · ready 3.1 s · first predict 84 ms · 412 MB peak`,
    );
    expect(formatSummary(several, OPTIONS)).toContain(`linux/arm64 built only: <code>${other}</code>`);
    expect(verdict(several)).toBe(`✔ tested ${member} (linux/amd64; built only: linux/arm64) in pushed ${DIGEST}`);
    const untested = { ...several, smoke: { verdict: 'off', checks: [] } } as const;
    expect(firstLine(untested)).toBe(`### ⚠ UNTESTED ${DIGEST} pushed ${DIGEST}`);
    expect(verdict(untested)).toBe(`! UNTESTED ${DIGEST} == pushed ${DIGEST}`);
    expect(formatSummary(untested, OPTIONS)).toContain(`linux/amd64 built only: <code>${member}</code>`);
  });

  test('is never larger than 64 KiB: the verdict stays, details go', () => {
    const timeline = Array.from({ length: 5000 }, (_, at) => vertex(String(at), `step ${'x'.repeat(150)}`, at, at + 1));
    const text = formatSummary(result({ timeline }), OPTIONS);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(64 * 1024);
    expect(text).toMatch(/^### ✔ tested/);
    expect(text.match(/<details>/g)?.length ?? 0).toBe(text.match(/<\/details>/g)?.length ?? 0);
    const error = new EngineError('RUN_FAILED', 'x'.repeat(500_000));
    expect(Buffer.byteLength(formatSummary(result({ ok: false, error }), OPTIONS))).toBeLessThanOrEqual(64 * 1024);
  });

  test('lets no foreign text be mark-up', () => {
    const evil = '</code><img src=x onerror=y> | `a` **b** [c](http://d) @everyone #1 <!-- \n\n# h';
    for (const text of [escapeMarkdown(evil), code(evil), block(evil)]) {
      expect(text).not.toMatch(/<img|[`*[\]@|]|<!--|\n/);
    }
  });

  test('has no text of a Dockerfile in the picture', () => {
    const picture = gantt(nameSteps(result().timeline)) ?? '';
    expect(picture).toContain('step 1 :done, 0, 2000');
    expect(picture).toContain('section Push');
    expect(picture).not.toContain('evil');
    expect(gantt([])).toBeUndefined();
  });
});

describe('annotations', () => {
  test('are ten at most, the failure first, in the file that the diff shows', () => {
    const location = { file: 'Dockerfile', startLine: 7, endLine: 8 };
    const error = new EngineError('RUN_FAILED', 'Cannot run it: exit code 3', { location, hint: 'Look above' });
    const warnings = Array.from({ length: 20 }, (_, at) => ({ type: 'warning' as const, message: `w${at}`, location }));
    const built = result().build;
    if (!built) throw new Error('there is a build');
    const found = annotationsOf(result({ ok: false, error, build: { ...built, warnings } }), (file) => `api/${file}`);
    expect(found).toHaveLength(10);
    expect(found[0]).toEqual({
      kind: 'error',
      message: 'Cannot run it: exit code 3\nLook above',
      file: 'api/Dockerfile',
      line: 7,
      endLine: 8,
    });
  });
});

describe('outputs', () => {
  const cache = { state: 'hit', blobs: 1, bytes: 10 } as const;

  test('are the same names, whatever came of it', () => {
    const names = Object.keys(outputsOf(result(), cache));
    expect(Object.keys(outputsOf(undefined, cache, { reason: 'cancelled' }))).toEqual(names);
    expect(outputsOf(undefined, cache, { reason: 'cancelled' })).toMatchObject({
      digest: '',
      'exit-reason': 'cancelled',
      metadata: '{}',
    });
  });

  test('speak of a tested digest only when something was tested', () => {
    expect(outputsOf(result(), cache)['tested-digest']).toBe(DIGEST);
    expect(outputsOf(result({ smoke: { verdict: 'untested', checks: [] } }), cache)['tested-digest']).toBe('');
  });

  test('have the metadata keys of docker/build-push-action', () => {
    expect(JSON.parse(outputsOf(result(), cache)['metadata'] ?? '')).toMatchObject({
      'containerimage.digest': DIGEST,
      'containerimage.config.digest': DIGEST,
      'containerimage.descriptor': { digest: DIGEST, size: 500 },
      'image.name': 'ghcr.io/me/a:1',
    });
  });

  test('are those that action.yml declares', async () => {
    const { parse } = await import('yaml');
    const { readFileSync } = await import('node:fs');
    const text = readFileSync(new URL('../../../action.yml', import.meta.url), 'utf8');
    const { outputs } = parse(text) as { readonly outputs: Readonly<Record<string, unknown>> };
    expect(Object.keys(outputs).toSorted()).toEqual(Object.keys(outputsOf(result(), cache)).toSorted());
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { saveCache } from '@actions/cache';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCacheHttp, type CacheHttp } from '../../../../src/action/cache/http.ts';
import { versionOf, type EntryName } from '../../../../src/action/cache/names.ts';
import { planSave, type SavePlan } from '../../../../src/action/cache/plan.ts';
import { restoreIndex, type RestoreParts } from '../../../../src/action/cache/restore.ts';
import { confirmedSave, savePlan, type SaveResult } from '../../../../src/action/cache/save.ts';
import { createCacheService, type CacheEndpoint } from '../../../../src/action/cache/service.ts';
import { createActionsCache, type ActionsCache, type CacheEngine } from '../../../../src/action/cache.ts';
import { createCacheSource, tellsOfLost, type CacheSource } from '../../../../src/action/cache/source.ts';
import { EngineError, type CacheExport, type Descriptor, type Digest } from '../../../../engine/index.ts';
import { readRunnerContext } from '../../../../src/action/environment.ts';
import { startCacheServer, type CacheServer, type Scope } from '../../../helpers/cache-server.ts';

const MAIN: Scope = { Scope: 'refs/heads/main', Permission: 3 };
const LIMITS = { idle: 500, grace: 300, minimumRate: 100_000 };
const PROVENANCE = {
  repository: 'octo/app',
  ref: 'refs/heads/main',
  event: 'push',
  sha: 'abc',
  runId: '7',
  engine: '0.1.0',
};
const NOW = new Date('2026-11-20T10:00:00Z');
const TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';

let server: CacheServer;
/** Which service the tests talk to. */
let version: CacheEndpoint['version'];
let folder: string;
let http: CacheHttp;
const before = { env: { ...process.env }, cwd: process.cwd() };

beforeEach(async () => {
  server = await startCacheServer();
  version = 2;
  folder = await mkdtemp(join(tmpdir(), 'berth-cache-'));
  http = createCacheHttp({}, LIMITS);
});
afterEach(async () => {
  process.chdir(before.cwd);
  process.env = { ...before.env };
  await http.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

interface Blob {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly path: string;
}

async function makeBlob(size: number): Promise<Blob> {
  const bytes = randomBytes(size);
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const path = join(folder, digest.slice(7));
  await writeFile(path, bytes);
  return { descriptor: { mediaType: TYPE, digest, size }, bytes, path };
}

function exportOf(blobs: readonly Blob[], made: readonly ('exec' | 'file')[] = []): CacheExport {
  return {
    index: {
      v: 1,
      records: blobs.map(({ descriptor: { digest } }) => ({
        v: 1,
        key: digest,
        op: { type: 'exec' },
        diffId: digest,
        base: null,
        createdAt: NOW.toISOString(),
        isolation: 'root',
        usedAt: NOW.toISOString(),
      })),
      layers: blobs.map(({ descriptor }) => ({ diffId: descriptor.digest, blob: descriptor })),
    },
    blobs: blobs.map(({ descriptor, path }, at) => ({ descriptor, path, madeBy: made[at] ?? 'exec' })),
  };
}

function planOf(exported: CacheExport, options: Partial<Parameters<typeof planSave>[1]> = {}): SavePlan | undefined {
  return planSave(exported, {
    scope: '0123456789abcdef',
    compression: 'zstd-without-long',
    provenance: PROVENANCE,
    available: new Set(),
    maxSize: 1e9,
    now: NOW,
    ...options,
  });
}

function partsOf(scopes: readonly Scope[] = [MAIN], masked: string[] = []): RestoreParts {
  const service = createCacheService(http, { url: server.url, token: server.token(scopes), version }, (values) =>
    masked.push(...values),
  );
  return { http, service, compressions: ['zstd-without-long', 'gzip'] };
}

/** Through the toolkit, as the post step does. */
async function save(plan: SavePlan, { scopes = [MAIN], warnings = [] as string[] } = {}): Promise<SaveResult> {
  const stage = join(folder, 'stage');
  await mkdir(stage, { recursive: true });
  const token = server.token(scopes);
  Object.assign(process.env, {
    GITHUB_WORKSPACE: stage,
    RUNNER_TEMP: folder,
    GITHUB_SERVER_URL: version === 2 ? 'https://github.com' : 'https://git.example',
    ACTIONS_CACHE_SERVICE_V2: 'True',
    ACTIONS_RESULTS_URL: server.url,
    ACTIONS_RUNTIME_TOKEN: token,
  });
  process.chdir(stage);
  const service = createCacheService(http, { url: server.url, token, version }, () => undefined);
  const exists = async ({ key, path }: EntryName): Promise<boolean> =>
    (await service.find({ key, version: versionOf(path, plan.compression) })) !== undefined;
  return await savePlan(plan, {
    folder: stage,
    saveCache: confirmedSave({ saveCache, exists }, version),
    exists,
    warn: (message) => warnings.push(message),
    unique: randomBytes(4).toString('hex'),
    signal: new AbortController().signal,
  });
}

const never = new AbortController().signal;

async function restore(parts = partsOf(), warnings: string[] = []): Promise<CacheSource | undefined> {
  const document = await restoreIndex(parts, '0123456789abcdef', never);
  if (!document) return undefined;
  return await createCacheSource(parts, document.entries, {
    folder: join(folder, 'in'),
    warn: (message) => warnings.push(message),
    signal: never,
  });
}

async function bytesOf(source: CacheSource | undefined, { descriptor }: Blob): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source?.fetch(descriptor) ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function saved(blobs: readonly Blob[]): Promise<void> {
  const plan = planOf(exportOf(blobs));
  expect(plan && (await save(plan))).toMatchObject({ indexSaved: true });
  server.forgetRequests();
}

describe('the Actions cache', () => {
  test('gives back what was saved: small layers from one entry, large ones from their own', async () => {
    const blobs = [await makeBlob(1000), await makeBlob(70_000), await makeBlob(5_000_000)];
    await saved(blobs);
    expect(server.entries.map(({ key }) => key.replace(/[0-9a-f]{64}|[0-9a-f]{8}$/, ''))).toEqual(
      expect.arrayContaining(['berth-v1-pack-', 'berth-v1-blob-', 'berth-v1-index-0123456789abcdef-']),
    );
    const source = await restore();
    expect(source?.available.size).toBe(3);
    for (const blob of blobs) expect((await bytesOf(source, blob)).equals(blob.bytes)).toBe(true);
    expect(source?.figures()).toEqual({ blobs: 3, bytes: 5_071_000 });
  });

  test('loads the index alone before somebody asks for a layer', async () => {
    await saved([await makeBlob(5_000_000)]);
    await restore();
    const downloads = server.requests.filter(({ method }) => method === 'GET');
    expect(downloads).toHaveLength(1);
    // With a key, an index that was not signed is not read.
    await expect(restore({ ...partsOf(), signingKey: 'a key that is long enough' })).rejects.toMatchObject({
      code: 'CACHE_UNSIGNED',
    });
  });

  test('masks each signed address before it is used', async () => {
    await saved([await makeBlob(1000)]);
    const masked: string[] = [];
    await restore(partsOf([MAIN], masked));
    const signatures = server.requests.flatMap(({ path }) => /sig=([0-9a-f]+)/.exec(path)?.[1] ?? []);
    expect(signatures.length).toBeGreaterThan(0);
    expect(masked).toEqual(expect.arrayContaining(signatures));
  });

  test('reads what the base branch saved, and nothing of another pull request', async () => {
    const blob = await makeBlob(1000);
    await saved([blob]);
    const pull: Scope = { Scope: 'refs/pull/7/merge', Permission: 3 };
    const readable = await restore(partsOf([pull, { ...MAIN, Permission: 1 }]));
    expect((await bytesOf(readable, blob)).equals(blob.bytes)).toBe(true);
    expect(await restore(partsOf([pull]))).toBeUndefined();
  });

  test('takes a missing entry for a miss before anything is built on it', async () => {
    const [one, two, large] = [await makeBlob(1000), await makeBlob(2000), await makeBlob(5_000_000)];
    await saved([one, two, large]);
    server.evict('blob-');
    const source = await restore();
    expect(source?.available).toEqual(new Set([one.descriptor.digest, two.descriptor.digest]));
  });

  const faults: Readonly<Record<string, CacheServer['faults']>> = {
    cut: { cut: { after: 2000, resume: false } },
    flipped: { flip: 'blob-' },
    'never sent': { hang: 'download' },
  };
  test.each(Object.keys(faults))(
    'loses a layer whose entry is %s, with one warning and no bytes counted as right',
    async (fault) => {
      const blob = await makeBlob(5_000_000);
      await saved([blob]);
      const warnings: string[] = [];
      const source = await restore(partsOf(), warnings);
      Object.assign(server.faults, faults[fault]);
      await expect(bytesOf(source, blob)).rejects.toMatchObject({ code: 'CACHE_BLOB_LOST' });
      expect(warnings).toHaveLength(1);
      expect([...(source?.takeLost() ?? [])]).toEqual([blob.descriptor.digest]);
      expect(source?.available.size).toBe(0);
      expect(source?.figures().blobs).toBe(0);
    },
  );

  test('continues a download where its connection broke', async () => {
    const blob = await makeBlob(5_000_000);
    await saved([blob]);
    const source = await restore();
    server.faults.cut = { after: 2_000_000, resume: true };
    expect((await bytesOf(source, blob)).equals(blob.bytes)).toBe(true);
    const ranges = server.requests.flatMap(({ headers }) => headers['x-ms-range'] ?? []);
    expect(ranges.length).toBeGreaterThan(0);
  });

  test('asks again for an address that has expired, once', async () => {
    const blob = await makeBlob(5_000_000);
    await saved([blob]);
    const parts = partsOf();
    const document = await restoreIndex(parts, '0123456789abcdef', never);
    server.faults.expired = 1;
    const source = await createCacheSource(parts, document?.entries ?? [], {
      folder,
      warn: () => undefined,
      signal: never,
    });
    expect((await bytesOf(source, blob)).equals(blob.bytes)).toBe(true);
  });

  test('says that it is limited, and asks no second time', async () => {
    server.faults.service = { status: 429, headers: { 'retry-after': '60' } };
    await expect(restore()).rejects.toMatchObject({ code: 'CACHE_RATE_LIMITED' });
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    ['never answers', { hang: 'service' }],
    ['fails', { service: { status: 503 } }],
  ] as const)('gives up a service that %s', async (_, faults) => {
    Object.assign(server.faults, faults);
    await expect(restore()).rejects.toMatchObject({ code: 'CACHE_UNAVAILABLE' });
    expect(server.requests.length).toBeLessThanOrEqual(3);
  });

  test('saves nothing with a read-only token, and says so in warnings at most', async () => {
    const plan = planOf(exportOf([await makeBlob(1000)]));
    const result = plan && (await save(plan, { scopes: [{ ...MAIN, Permission: 1 }] }));
    expect(result).toEqual({ entries: 0, bytes: 0, indexSaved: false });
    expect(server.entries).toEqual([]);
  });

  test('leaves a layer out that another job has begun to save, without a word of warning', async () => {
    const [taken, free] = [await makeBlob(5_000_000), await makeBlob(6_000_000)];
    const plan = planOf(exportOf([taken, free]));
    const upload = plan?.uploads.find(({ files }) => files[0]?.digest === taken.descriptor.digest);
    if (!plan || !upload) throw new Error('nothing to save');
    const url = `${server.url}twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry`;
    const body = JSON.stringify({ key: upload.key, version: versionOf(upload.path, plan.compression) });
    const headers = { authorization: `Bearer ${server.token([MAIN])}`, 'content-type': 'application/json' };
    expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(200);
    const warnings: string[] = [];
    expect(await save(plan, { warnings })).toMatchObject({ entries: 1, indexSaved: true });
    expect(warnings).toEqual([]);
    const source = await restore();
    expect([...(source?.available ?? [])]).toEqual([free.descriptor.digest]);
  });

  test('saves nothing twice: not in the next run, not from another scope', async () => {
    const blobs = [await makeBlob(1000), await makeBlob(5_000_000)];
    await saved(blobs);
    const count = server.entries.length;
    const document = await restoreIndex(partsOf(), '0123456789abcdef', never);
    const source = await restore();
    const known = { restored: document, available: source?.available ?? new Set<Digest>() };
    expect(planOf(exportOf(blobs), known)).toBeUndefined();
    const other = planOf(exportOf(blobs), { scope: 'fedcba9876543210' });
    expect(other && (await save(other))).toMatchObject({ indexSaved: true });
    expect(server.entries).toHaveLength(count + 1);
  });

  test('saves one new layer as one new entry', async () => {
    const old = [await makeBlob(1000), await makeBlob(2000)];
    await saved(old);
    const document = await restoreIndex(partsOf(), '0123456789abcdef', never);
    const source = await restore();
    const added = await makeBlob(3000);
    const plan = planOf(exportOf([...old, added]), { restored: document, available: source?.available ?? new Set() });
    expect(plan?.uploads.map(({ files }) => files.map(({ digest }) => digest))).toEqual([[added.descriptor.digest]]);
    expect(plan && (await save(plan))).toMatchObject({ entries: 1, indexSaved: true });
    const next = await restore();
    expect(next?.available.size).toBe(3);
    for (const blob of [...old, added]) expect((await bytesOf(next, blob)).equals(blob.bytes)).toBe(true);
  });

  test('leaves out what is cheapest to make again when there is no room, and names it', async () => {
    const [run, smallCopy, largeCopy] = [await makeBlob(4000), await makeBlob(1000), await makeBlob(6000)];
    const plan = planOf(exportOf([run, smallCopy, largeCopy], ['exec', 'file', 'file']), { maxSize: 6000 });
    expect(plan?.leftOut).toEqual([
      expect.objectContaining({ what: largeCopy.descriptor.digest.slice(0, 19), size: 6000 }),
    ]);
    expect(plan?.document.index.layers.map(({ diffId }) => diffId)).toEqual([
      run.descriptor.digest,
      smallCopy.descriptor.digest,
    ]);
  });

  test('stays well under the rate that the service allows', async () => {
    const blobs = await Promise.all(Array.from({ length: 40 }, () => makeBlob(4 * 1024 * 1024)));
    const plan = planOf(exportOf(blobs));
    expect(plan?.uploads).toHaveLength(32);
    expect(plan?.leftOut).toHaveLength(8);
    expect(plan?.document.entries).toHaveLength(32);
  });

  test('an index never names an entry that could not be made', async () => {
    const blobs = [await makeBlob(1000), await makeBlob(5_000_000)];
    const plan = planOf(exportOf(blobs));
    const large = blobs[1]?.path ?? '';
    await rm(large);
    const warnings: string[] = [];
    const result = plan && (await save(plan, { warnings }));
    expect(result?.indexSaved).toBe(true);
    expect(warnings).toHaveLength(1);
    const document = await restoreIndex(partsOf(), '0123456789abcdef', never);
    expect(document?.index.layers.length).toBeLessThanOrEqual(1);
    expect(
      document?.entries.every(({ key }) => server.entries.some((entry) => entry.key === key && entry.finalized)),
    ).toBe(true);
  });
});

describe('a job with the Actions cache', () => {
  /** Sizes that each have an entry of their own. */
  const [layer, mount] = [4_300_000, 4_200_000];

  /** A layer and a cache mount are saved, each in an entry of its own. */
  async function saveBoth(): Promise<{ readonly layer: Blob; readonly mount: Blob }> {
    const blobs = { layer: await makeBlob(layer), mount: await makeBlob(mount) };
    const { descriptor, path } = blobs.mount;
    const record = {
      name: 'a'.repeat(64),
      steps: [descriptor.digest],
      diffId: descriptor.digest,
      size: mount,
      blob: { ...descriptor, mediaType: TYPE },
      usedAt: NOW.toISOString(),
    };
    const exported = { records: [record], blobs: [{ descriptor, path, madeBy: 'mount' as const }], leftOut: [] };
    const plan = planOf(exportOf([blobs.layer]), { mounts: exported });
    expect(plan && (await save(plan))).toMatchObject({ indexSaved: true });
    return blobs;
  }

  function open(names: readonly string[], warnings: string[], env: NodeJS.ProcessEnv = {}): ActionsCache {
    return createActionsCache({
      access: {
        kind: 'service',
        endpoint: { url: server.url, token: server.token([MAIN]), version: 2 },
        readable: true,
        writable: true,
      },
      settings: { read: true, write: 'trusted', scope: undefined },
      runner: readRunnerContext({ GITHUB_REPOSITORY: 'octo/app', GITHUB_REF: 'refs/heads/main', ...env }, undefined),
      scopeParts: [],
      compressions: ['zstd-without-long', 'gzip'],
      proxies: {},
      limits: LIMITS,
      maxSize: 1e9,
      mounts: true,
      names,
      engineVersion: '0.1.0',
      folder,
      warn: (message) => warnings.push(message),
      mask: () => undefined,
    });
  }

  /** What the cache asks an engine. */
  function engineOf(served: () => Promise<number>): { readonly engine: CacheEngine; readonly calls: string[] } {
    const calls: string[] = [];
    const cache = {
      import: () => Promise.resolve({ records: 1, layers: 1 }),
      forget: () => Promise.resolve(void calls.push('forget')),
      served: () => (calls.push('served'), served()),
      mounts: { import: (records: readonly unknown[]) => (calls.push('mounts'), records.length) },
    };
    // The rest of an engine is not asked.
    return { engine: { cache } as unknown as CacheEngine, calls };
  }

  test('takes nothing for a release from an index that a pull request wrote', async () => {
    const blob = await makeBlob(1000);
    const plan = planOf(exportOf([blob]), { provenance: { ...PROVENANCE, event: 'pull_request' } });
    expect(plan && (await save(plan))).toMatchObject({ indexSaved: true });
    for (const [env, state] of [
      [{ GITHUB_REF_TYPE: 'tag' }, 'miss'],
      [{}, 'hit'],
    ] as const) {
      const cache = open([], [], env);
      const { engine } = engineOf(() => Promise.resolve(0));
      const report = await cache.restore(engine, never, '0123456789abcdef');
      expect(report.state).toBe(state);
      if (state === 'miss')
        expect(report.text).toMatch(/written by a pull_request run, which a release does not trust/);
      await cache.close();
    }
  });

  test('keeps what it has read when a registry that may have a lost layer does not answer', async () => {
    await saveBoth();
    server.evict('blob-');
    const warnings: string[] = [];
    const cache = open(['registry.test/a:1', 'registry.test/a:2'], warnings);
    const { engine, calls } = engineOf(() => Promise.reject(new Error('it keeps silent')));
    const report = await cache.restore(engine, never, '0123456789abcdef');
    expect(report).toMatchObject({ state: 'hit', text: expect.stringContaining('1 gone') as unknown });
    expect([calls, warnings]).toEqual([['mounts', 'served'], []]);
    await cache.close();
  });

  test('is no reason to begin again when all that it has lost is a cache mount', async () => {
    const both = await saveBoth();
    const cache = open([], []);
    const { engine, calls } = engineOf(() => Promise.resolve(0));
    await cache.restore(engine, never, '0123456789abcdef');
    const lost: unknown[] = [];
    server.evict('');
    try {
      for await (const chunk of cache.source.fetch(both.mount.descriptor)) lost.push(chunk);
    } catch (error) {
      lost.push(error);
    }
    expect(lost.map(tellsOfLost)).toEqual([true]);
    expect(tellsOfLost(new Error('x', { cause: lost[0] }))).toBe(true);
    expect(tellsOfLost(new EngineError('HEALTH_FAILED', 'the smoke test failed'))).toBe(false);
    expect([await cache.forgetLost(engine), calls]).toEqual([false, ['mounts']]);
    await cache.close();
  });
});

describe('version 1 of the service, as GitHub Enterprise Server has it', () => {
  beforeEach(() => void (version = 1));

  test('gives back what was saved, in pieces where it is large, and saves nothing twice', async () => {
    const blobs = [await makeBlob(1000), await makeBlob(70_000), await makeBlob(40_000_000)];
    const plan = planOf(exportOf(blobs));
    expect(plan && (await save(plan))).toMatchObject({ entries: 2, indexSaved: true });
    expect(server.requests.filter(({ path }) => !path.startsWith('/_apis/artifactcache/'))).toEqual([]);
    const pieces = server.requests.flatMap(({ headers }) => headers['content-range'] ?? []);
    expect(pieces.filter((piece) => !String(piece).startsWith('bytes 0-'))).toHaveLength(1);
    const masked: string[] = [];
    const source = await restore(partsOf([MAIN], masked));
    expect(source?.available.size).toBe(3);
    for (const blob of blobs) expect((await bytesOf(source, blob)).equals(blob.bytes)).toBe(true);
    const signatures = server.requests.flatMap(({ path }) => /sig=([0-9a-f]+)/.exec(path)?.[1] ?? []);
    expect(masked).toEqual(expect.arrayContaining(signatures));
    const document = await restoreIndex(partsOf(), '0123456789abcdef', never);
    const known = { restored: document, available: source?.available ?? new Set<Digest>() };
    expect(planOf(exportOf(blobs), known)).toBeUndefined();
  });

  test('takes a missing entry, and one of another scope, for a miss', async () => {
    expect(await restore()).toBeUndefined();
    const plan = planOf(exportOf([await makeBlob(1000), await makeBlob(2000), await makeBlob(5_000_000)]));
    expect(plan && (await save(plan))).toMatchObject({ indexSaved: true });
    expect(await restore(partsOf([{ Scope: 'refs/pull/7/merge', Permission: 3 }]))).toBeUndefined();
    server.evict('blob-');
    expect((await restore())?.available.size).toBe(2);
  });

  test('has saved nothing when an entry was reserved and could not be filled', async () => {
    server.faults.upload = 400;
    const plan = planOf(exportOf([await makeBlob(1000)]));
    expect(plan && (await save(plan))).toEqual({ entries: 0, bytes: 0, indexSaved: false });
    expect(server.entries.filter(({ finalized }) => finalized)).toEqual([]);
  });

  test('is given up when it fails, and asked no second time when it limits', async () => {
    server.faults.service = { status: 503 };
    await expect(restore()).rejects.toMatchObject({ code: 'CACHE_UNAVAILABLE' });
    server.forgetRequests();
    server.faults.service = { status: 429 };
    await expect(restore()).rejects.toMatchObject({ code: 'CACHE_RATE_LIMITED' });
    expect(server.requests).toHaveLength(1);
  });
});

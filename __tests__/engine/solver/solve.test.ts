import { describe, expect, test } from '@jest/globals';
import { EngineError } from '../../../engine/base/errors.ts';
import type { ProgressEvent } from '../../../engine/base/progress.ts';
import { digestOf } from '../../../engine/image/digest.ts';
import { inlineKeysOf } from '../../../engine/build-inline.ts';
import type { Graph, Vertex } from '../../../engine/graph/types.ts';
import type { Digest, ImageConfig } from '../../../engine/image/types.ts';
import { solve } from '../../../engine/solver/index.ts';
import { copy, counting, graphOf, memoryCache, run, scratch, solved, vertex } from './doubles.ts';

function image(diffs: readonly string[], labels: Readonly<Record<string, string>> = {}): Vertex {
  const config: ImageConfig = {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: labels },
    rootfs: { type: 'layers', diff_ids: diffs.map(digestOf) },
  };
  const manifest = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: digestOf(JSON.stringify(config)),
    size: 1,
  };
  return vertex('base', {
    type: 'image',
    reference: 'base',
    manifest,
    config,
    platform: { os: 'linux', architecture: 'amd64' },
  });
}

/** builder: base → make; final: base → pip → copy from builder → check. */
function twoStages(make = 'make', more: Partial<Vertex> = {}): readonly Vertex[] {
  const base = image(['a', 'b']);
  const built = run(make, base, more);
  const pip = run('pip', base);
  const copied = copy('/out', pip, built);
  return [base, built, pip, copied, run('check', copied)];
}

describe('solve', () => {
  test('runs each step once on the layers below it', async () => {
    const executor = counting();
    const base = image(['a']);
    const [one, two] = [run('one', base), undefined];
    const last = run('two', one);
    const { target, steps } = await solved(graphOf(last, [base, one, last]), executor, memoryCache());
    expect(two).toBeUndefined();
    expect(executor.runs).toEqual(['one', 'two']);
    expect(target.layers).toHaveLength(3);
    expect(target.layers[0]?.diffId).toBe(digestOf('a'));
    expect(steps).toEqual({ total: 2, cached: 0, executed: 2 });
  });

  test('executes nothing the second time and gives the same layers', async () => {
    const [executor, cache, vertices] = [counting(), memoryCache(), twoStages()];
    const graph = graphOf(vertices[4] as Vertex, vertices);
    const first = await solved(graph, executor, cache);
    executor.runs.length = 0;
    executor.checksums.length = 0;
    const second = await solved(graph, executor, cache);
    expect(executor.runs).toEqual([]);
    expect(executor.checksums).toEqual([]);
    expect(second.target.layers).toEqual(first.target.layers);
    expect(second.steps).toEqual({ total: 4, cached: 4, executed: 0 });
  });

  test('does not look at a stage when the copy from it is found by its definition', async () => {
    const [executor, cache, vertices] = [counting(), memoryCache(), twoStages()];
    const graph = graphOf(vertices[4] as Vertex, vertices);
    await solved(graph, executor, cache);
    const { refs } = await solved(graph, executor, cache);
    expect(refs.has('make')).toBe(false);
    expect(refs.has('pip')).toBe(true);
  });

  test('starts no stage of which nothing is remembered when all that is copied from them is found', async () => {
    const [executor, cache, base] = [counting(), memoryCache(), scratch()];
    const [one, two] = [run('stage 1', base), run('stage 2', base)];
    const first = copy('/one', run('below', base), one);
    const second = copy('/two', first, two);
    const last = copy('/more', run('between', second), one);
    const graph = graphOf(last, [base, one, two, run('below', base), first, second, run('between', second), last]);
    await solved(graph, executor, cache);
    executor.runs.length = 0;
    // As a cache that holds the steps of the image alone.
    for (const [key, { op }] of cache.records) if (/stage \d/.test(JSON.stringify(op))) cache.records.delete(key);
    const { steps } = await solved(graph, executor, cache);
    expect([executor.runs, executor.checksums.length, steps.executed]).toEqual([[], 3, 0]);
    // A change below all of them makes every stage necessary.
    const changed = { ...run('below, changed', base), id: 'below' };
    await solved(
      graphOf(
        last,
        graph.vertices.map((one) => (one.id === 'below' ? changed : one)),
      ),
      executor,
      cache,
    );
    expect([...executor.runs].sort()).toContain('stage 2');
  });

  test('keeps what stands on a rebuilt stage whose copied files are equal', async () => {
    const executor = counting({ content: () => 'same bytes' });
    const cache = memoryCache();
    const before = twoStages('make');
    await solved(graphOf(before[4] as Vertex, before), executor, cache);
    executor.runs.length = 0;
    const after = twoStages('make # with a comment');
    const { steps } = await solved(graphOf(after[4] as Vertex, after), executor, cache);
    expect(executor.runs).toEqual(['make # with a comment']);
    expect(steps).toEqual({ total: 4, cached: 3, executed: 1 });
  });

  test('repeats the copy when the rebuilt stage gives other files', async () => {
    const executor = counting({ content: (layers) => layers.join() });
    const cache = memoryCache();
    const before = twoStages('make');
    await solved(graphOf(before[4] as Vertex, before), executor, cache);
    executor.runs.length = 0;
    const after = twoStages('make other');
    await solved(graphOf(after[4] as Vertex, after), executor, cache);
    expect(executor.runs).toEqual(['make other', 'copy /out from make other', 'check']);
  });

  test('repeats from the first changed step on', async () => {
    const [executor, cache, base] = [counting({ context: { app: 'one' } }), memoryCache(), image(['a'])];
    const chain = (): readonly Vertex[] => {
      const pip = run('pip', base);
      const app = copy('app', pip);
      return [base, pip, app, run('compile', app)];
    };
    await solved(graphOf(chain()[3] as Vertex, chain()), executor, cache);
    const changed = counting({ context: { app: 'two' }, salt: 'two' });
    executor.layers.forEach((layer) => changed.layers.add(layer));
    const { steps } = await solved(graphOf(chain()[3] as Vertex, chain()), changed, cache);
    expect(changed.runs).toEqual(['copy app', 'compile']);
    expect(steps).toEqual({ total: 3, cached: 1, executed: 2 });
  });

  test('finds a base again that has another label and manifest, and equal layers', async () => {
    const [executor, cache] = [counting(), memoryCache()];
    for (const base of [image(['a']), image(['a'], { version: '2' })]) {
      const step = run('pip', base);
      await solved(graphOf(step, [base, step]), executor, cache);
    }
    expect(executor.runs).toEqual(['pip']);
  });

  test('takes no step that stood on an older base, whose tag has moved', async () => {
    const [executor, cache] = [counting(), memoryCache()];
    for (const base of [image(['a']), image(['a', 'b'])]) {
      const step = run('pip', base);
      await solved(graphOf(step, [base, step]), executor, cache);
    }
    expect(executor.runs).toEqual(['pip', 'pip']);
  });

  test('does not take a step of another platform', async () => {
    const [executor, cache, base] = [counting(), memoryCache(), scratch()];
    const step = run('make', base);
    await solved(graphOf(step, [base, step], 'amd64'), executor, cache);
    await solved(graphOf(step, [base, step], 'arm64'), executor, cache);
    expect(executor.runs).toEqual(['make', 'make']);
  });

  test('leaves proxies out of the key', async () => {
    const [executor, cache, base] = [counting(), memoryCache(), scratch()];
    for (const proxyEnv of [[], ['http_proxy=http://proxy:3128']]) {
      const step = run('make', base, { proxyEnv });
      await solved(graphOf(step, [base, step]), executor, cache);
    }
    expect(executor.runs).toEqual(['make']);
  });

  test('runs a step again when its layer cannot be had any more', async () => {
    const [executor, cache, base] = [counting(), memoryCache(), scratch()];
    const step = run('make', base);
    await solved(graphOf(step, [base, step]), executor, cache);
    executor.layers.clear();
    await solved(graphOf(step, [base, step]), executor, cache);
    expect(executor.runs).toEqual(['make', 'make']);
  });

  test('does not put a remembered layer on others than those it was made on', async () => {
    const [cache, base] = [memoryCache(), scratch()];
    const one = run('one', base);
    const two = run('two', one);
    const graph = graphOf(two, [base, one, two]);
    const first = counting();
    await solved(graph, first, cache);
    const again = counting({ salt: 'again' });
    // The layer of `two` is still there, the one of `one` is lost and comes out different.
    [...first.layers].slice(1).forEach((layer) => again.layers.add(layer));
    await solved(graph, again, cache);
    expect(again.runs).toEqual(['one', 'two']);
  });

  test('builds an ignored stage again, and what is copied from it by content', async () => {
    const executor = counting({ content: () => 'same bytes' });
    const cache = memoryCache();
    const cached = twoStages();
    await solved(graphOf(cached[4] as Vertex, cached), executor, cache);
    executor.runs.length = 0;
    const ignored = twoStages('make', { ignoreCache: true });
    await solved(graphOf(ignored[4] as Vertex, ignored), executor, cache);
    expect(executor.runs).toEqual(['make']);
  });

  test('does not take a record from a lower rung for a higher one', async () => {
    const { records } = memoryCache();
    const [executor, base] = [counting(), scratch()];
    const step = run('make', base);
    const graph = graphOf(step, [base, step]);
    await solved(graph, executor, memoryCache('userns', records));
    await solved(graph, executor, memoryCache('root', records));
    await solved(graph, executor, memoryCache('userns', records));
    expect(executor.runs).toEqual(['make', 'make']);
  });

  test('runs independent stages at the same time', async () => {
    let inside = 0;
    let together = 0;
    let release = (): void => undefined;
    const both = new Promise<void>((resolve) => (release = resolve));
    const executor = counting({
      during: async ({ name }) => {
        if (!name.startsWith('stage')) return;
        together = Math.max(together, (inside += 1));
        if (inside === 2) release();
        await both;
      },
    });
    const base = scratch();
    const [one, two] = [run('stage 1', base), run('stage 2', base)];
    const first = copy('/one', base, one);
    const last = copy('/two', first, two);
    await solved(graphOf(last, [base, one, two, first, last]), executor, memoryCache());
    expect(together).toBe(2);
  });

  test('keeps to the limit of steps at a time', async () => {
    let inside = 0;
    let most = 0;
    const executor = counting({
      during: async () => {
        most = Math.max(most, (inside += 1));
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
      },
    });
    const base = scratch();
    const stages = ['1', '2', '3', '4'].map((name) => run(name, base));
    const copies: Vertex[] = [];
    for (const stage of stages) copies.push(copy(`/${stage.name}`, copies.at(-1) ?? base, stage));
    await solved(graphOf(copies[3] as Vertex, [base, ...stages, ...copies]), executor, memoryCache(), {
      concurrency: 2,
    });
    expect(most).toBe(2);
  });

  test('waits at a failure for what another step remembers', async () => {
    const cache = memoryCache();
    const events: string[] = [];
    let remembering = (): void => undefined;
    const isRemembering = new Promise<void>((resolve) => (remembering = resolve));
    let failing = (): void => undefined;
    const isFailing = new Promise<void>((resolve) => (failing = resolve));
    const slow = {
      ...cache,
      put: async (record: Parameters<typeof cache.put>[0]) => {
        remembering();
        await isFailing;
        await new Promise((resolve) => setImmediate(resolve));
        await cache.put(record);
        events.push('remembered');
      },
    };
    const executor = counting({
      during: async ({ name }) => {
        if (name !== 'stage 2') return;
        await isRemembering;
        failing();
        throw new Error('stage 2 failed');
      },
    });
    const base = scratch();
    const [one, two] = [run('stage 1', base), run('stage 2', base)];
    const last = copy('/one', two, one);
    const solving = solved(graphOf(last, [base, one, two, last]), executor, slow);
    await solving.catch((error: unknown) => events.push(String(error)));
    expect(events).toEqual(['remembered', 'Error: stage 2 failed']);
  });

  test('merges two edges to one vertex', async () => {
    const [executor, base] = [counting(), scratch()];
    const built = run('make', base);
    const first = copy('/one', base, built);
    const last = copy('/two', first, built);
    await solved(graphOf(last, [base, built, first, last]), executor, memoryCache());
    expect(executor.runs.filter((name) => name === 'make')).toHaveLength(1);
  });

  test('cancels the other stages at a failure, waits for their end and throws the failure', async () => {
    let cancelled = false;
    const failure = new EngineError('RUN_FAILED', 'Cannot build stage 2: its exit code is 1');
    let started = (): void => undefined;
    const running = new Promise<void>((resolve) => (started = resolve));
    const executor = counting({
      during: async ({ name }, { signal }) => {
        if (name === 'stage 2') {
          await running;
          throw failure;
        }
        started();
        await new Promise<void>((_, reject) => {
          signal?.addEventListener('abort', () => {
            setImmediate(() => {
              cancelled = true;
              reject(signal.reason as Error);
            });
          });
        });
      },
    });
    const base = scratch();
    const [one, two] = [
      run('stage 1', base),
      run('stage 2', base, { location: { file: 'Dockerfile', startLine: 3, endLine: 3 } }),
    ];
    const first = copy('/one', base, one);
    const last = copy('/two', first, two);
    const ends: unknown[] = [];
    const onEvent = (event: ProgressEvent): void => {
      if (event.type === 'vertex' && event.completed !== undefined)
        ends.push([event.name, event.error, event.canceled]);
    };
    const solving = solved(graphOf(last, [base, one, two, first, last]), executor, memoryCache(), { onEvent });
    await expect(solving).rejects.toMatchObject({ code: 'RUN_FAILED', vertex: 'stage 2', location: { startLine: 3 } });
    expect(cancelled).toBe(true);
    // The one that was cancelled has no error of its own.
    expect(ends).toEqual([
      ['stage 2', failure.message, undefined],
      ['stage 1', undefined, true],
    ]);
  });

  test('ends with the reason of the signal', async () => {
    const controller = new AbortController();
    const reason = new Error('the user pressed Ctrl-C');
    const executor = counting({
      during: async (_vertex, { signal }) => {
        controller.abort(reason);
        signal?.throwIfAborted();
      },
    });
    const base = scratch();
    const step = run('make', base);
    const solving = solved(graphOf(step, [base, step]), executor, memoryCache(), { signal: controller.signal });
    await expect(solving).rejects.toBe(reason);
  });

  test('announces every step, and says which were cached', async () => {
    const [executor, cache, vertices] = [counting(), memoryCache(), twoStages()];
    const graph = graphOf(vertices[4] as Vertex, vertices);
    await solved(graph, executor, cache);
    const events: ProgressEvent[] = [];
    await solved(graph, executor, cache, { onEvent: (event) => events.push(event) });
    const cached = events
      .filter((event) => event.type === 'vertex' && event.cached)
      .map((event) => event.type === 'vertex' && event.name);
    expect(new Set(cached)).toEqual(new Set(['base', 'make', 'pip', 'copy /out from make', 'check']));
  });
});

describe('a cache that an image carries', () => {
  /** stage 1 and stage 2 on a base, and an image on another that has files of both. */
  const twoCopies = (version: string, below = 'below'): readonly Vertex[] => {
    const base = scratch();
    const [one, two] = [run(`stage 1 of ${version}`, base), run('stage 2', base)];
    const bottom = run(below, base);
    const first = copy('/one', bottom, one);
    return [base, one, two, bottom, first, copy('/two', first, two)];
  };
  const graph = (vertices: readonly Vertex[]): Graph => graphOf(vertices.at(-1) as Vertex, vertices);

  /** Solves it, and gives the cache of another machine that knows what the image carries. */
  async function carried(
    vertices: readonly Vertex[],
    executor: ReturnType<typeof counting>,
    cache = memoryCache(),
  ): Promise<ReturnType<typeof memoryCache>> {
    const { keys } = await solved(graph(vertices), executor, cache);
    const chain = new Set([0, 3, 4, 5].map((at) => vertices[at]?.id ?? ''));
    const { own, others } = inlineKeysOf(vertices, chain, keys);
    return memoryCache(
      'root',
      new Map([...cache.records].filter(([key]) => [...own, ...others].includes(key as Digest))),
    );
  }

  test('begins no stage whose copy it finds, though another stage must be built before that is clear', async () => {
    const executor = counting({ content: () => 'same bytes' });
    const cache = await carried(twoCopies('version 1'), executor);
    const again = counting({
      content: () => 'same bytes',
      during: async ({ name }) => {
        // Whoever would begin the other one has begun it when this one ends.
        await new Promise((resolve) => setImmediate(resolve));
        if (name === 'stage 2') throw new Error('the secret of stage 2 is not there');
      },
    });
    executor.layers.forEach((layer) => again.layers.add(layer));
    const { steps } = await solved(graph(twoCopies('version 2')), again, cache);
    expect([again.runs, steps.executed]).toEqual([['stage 1 of version 2'], 1]);
  });

  test.each([
    ['what is below their copies', twoCopies('version 1', 'below, changed')],
    ['a stage whose files come out different', twoCopies('version 2')],
  ])('lets a change of %s build all stages that it makes necessary', async (_what, changed) => {
    const cache = await carried(twoCopies('version 1'), counting({ content: (_layers, source) => source }));
    const executor = counting({ content: (layers, source) => `${layers.join()}${source}` });
    await solved(graph(changed), executor, cache);
    expect(executor.runs.filter((name) => name.startsWith('stage'))).toHaveLength(2);
  });

  test('builds stages at the same time when the state below their copies is a new one', async () => {
    const cache = await carried(twoCopies('version 1'), counting());
    let inside = 0;
    let release = (): void => undefined;
    const both = new Promise<void>((resolve) => (release = resolve));
    const executor = counting({
      during: async ({ name }) => {
        if (!name.startsWith('stage')) return;
        if ((inside += 1) === 2) release();
        await both;
      },
    });
    await solved(graph(twoCopies('version 1', 'below, changed')), executor, cache);
    expect(inside).toBe(2);
  });

  test('serves another machine also for a copy that was found by its content', async () => {
    const executor = counting({ content: () => 'same bytes' });
    const cache = memoryCache();
    await carried(twoCopies('version 1'), executor, cache);
    const other = await carried(twoCopies('version 2'), executor, cache);
    executor.runs.length = 0;
    const { steps } = await solved(graph(twoCopies('version 2')), executor, other);
    expect([executor.runs, steps.executed]).toEqual([[], 0]);
  });
});

describe('a copy whose definition is known, on a state that was made again', () => {
  const graph = (stage: string): Graph => {
    const base = scratch();
    const [bottom, from] = [run('below', base), run(stage, base)];
    const copied = copy('/one', bottom, from);
    const last = run('check', copied);
    return graphOf(last, [base, bottom, from, copied, last]);
  };
  const COPY = 'copy /one from stage';

  test('is kept under the key of the files that it took, not under the one of those before, nor is what is above it', async () => {
    const cache = memoryCache();
    await solved(graph('stage'), counting({ content: () => 'old' }), cache);
    // Nothing of it can be had any more, and the stage gives other files now.
    const later = counting({ content: () => 'new', salt: 'later' });
    await solved(graph('stage'), later, cache);
    expect(later.runs.toSorted()).toEqual(['below', 'check', COPY, 'stage']);
    // Whoever really has the files of before gets those.
    const other = counting({ content: () => 'old', salt: 'later' });
    later.layers.forEach((layer) => other.layers.add(layer));
    await solved(graph('another stage'), other, cache);
    expect(other.runs).toEqual(['another stage', 'copy /one from another stage', 'check']);
    // The definition leads to the new files, and on them the rest is done once more.
    later.runs.length = 0;
    await solved(graph('stage'), later, cache);
    expect(later.runs).toEqual(['check']);
    later.runs.length = 0;
    await solved(graph('stage'), later, cache);
    expect(later.runs).toEqual([]);
  });

  test('keeps its key when the files are the same', async () => {
    const cache = memoryCache();
    await solved(graph('stage'), counting({ content: () => 'same' }), cache);
    const later = counting({ content: () => 'same', salt: 'later' });
    await solved(graph('stage'), later, cache);
    later.runs.length = 0;
    await solved(graph('stage'), later, cache);
    expect(later.runs).toEqual([]);
  });
});

describe('a copy from the context', () => {
  const built = (context: Readonly<Record<string, string>>, more: Partial<Vertex> = {}, link = false) => {
    const base = image(['a']);
    const first = copy('model', base, undefined, more);
    const copied = link && first.op.type === 'file' ? { ...first, op: { ...first.op, link: true as const } } : first;
    return { executor: counting({ context }), graph: graphOf(copied, [base, copied]) };
  };

  test.each([false, true])('whose shape is new is done without a reading before (link %s)', async (link) => {
    const { executor, graph } = built({ model: 'one' }, {}, link);
    const cache = memoryCache();
    const first = await solved(graph, executor, cache);
    expect(executor).toMatchObject({ runs: ['copy model'], reads: [] });
    expect(first.steps).toEqual({ total: 1, cached: 0, executed: 1 });
    const again = await solved(graph, executor, cache);
    expect(executor).toMatchObject({ runs: ['copy model'], reads: ['model'] });
    expect(again.target).toEqual(first.target);
    expect(again.steps).toEqual({ total: 1, cached: 1, executed: 0 });
  });

  test('whose shape is known is read for its key, and done when that is new', async () => {
    const cache = memoryCache();
    const [one, two] = [built({ model: 'one' }), built({ model: 'two' })];
    await solved(one.graph, one.executor, cache);
    await solved(two.graph, two.executor, cache);
    expect(two.executor).toMatchObject({ runs: ['copy model'], reads: ['model'] });
    await solved(two.graph, two.executor, cache);
    await solved(one.graph, one.executor, cache);
    expect(two.executor.runs).toHaveLength(1);
    expect(one.executor.runs).toHaveLength(1);
  });

  test('without cache is done in one pass, and remembered for the next build', async () => {
    const cache = memoryCache();
    const { executor, graph } = built({ model: 'one' });
    await solved(graph, executor, cache);
    const fresh = built({ model: 'one' }, { ignoreCache: true });
    await solved(fresh.graph, fresh.executor, cache);
    expect(fresh.executor).toMatchObject({ runs: ['copy model'], reads: [] });
    await solved(graph, executor, cache);
    expect(executor.runs).toHaveLength(1);
  });

  test('on another state below is not read for its key', async () => {
    const cache = memoryCache();
    const executor = counting({ context: { model: 'one' } });
    for (const command of ['first', 'second']) {
      const base = image(['a']);
      const step = run(command, base);
      const copied = copy('model', step);
      await solved(graphOf(copied, [base, step, copied]), executor, cache);
    }
    expect(executor).toMatchObject({ runs: ['first', 'copy model', 'second', 'copy model'], reads: [] });
  });

  test('that fails fails the build once, with its place', async () => {
    const base = image(['a']);
    const copied = copy('model', base, undefined, { location: { file: 'Dockerfile', startLine: 2, endLine: 2 } });
    const executor = counting({
      during: async () => {
        throw new EngineError('CONTEXT_CHANGED', 'Cannot use model: it changed');
      },
    });
    await expect(solved(graphOf(copied, [base, copied]), executor, memoryCache())).rejects.toMatchObject({
      code: 'CONTEXT_CHANGED',
      location: { startLine: 2 },
    });
    expect(executor.runs).toEqual(['copy model']);
  });
});

describe('a layer that is lost', () => {
  const parts = (executor: ReturnType<typeof counting>, cache: ReturnType<typeof memoryCache>, second: number) => ({
    executor,
    cache,
    concurrency: 1,
    now: () => new Date(second * 1000),
  });

  test('and made again as it was keeps its time; one that came out differently has that of its making', async () => {
    const cache = memoryCache();
    const executor = counting({ context: { app: 'x' } });
    const base = image(['a']);
    const copied = copy('app', base);
    const graph = graphOf(copied, [base, copied]);
    const first = await solve(graph, parts(executor, cache, 1));
    executor.layers.clear();
    const again = await solve(graph, parts(executor, cache, 2));
    expect(executor.runs).toHaveLength(2);
    expect(again.target).toEqual(first.target);
    const other = counting({ context: { app: 'x' }, salt: 'other' });
    const changed = await solve(graph, parts(other, cache, 3));
    expect(changed.target.createdAt).toBe(new Date(3000).toISOString());
  });
});

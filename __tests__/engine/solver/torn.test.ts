import { describe, expect, test } from '@jest/globals';
import { digestOf } from '../../../engine/image/digest.ts';
import type { FileAction, Graph, Vertex } from '../../../engine/graph/types.ts';
import type { Digest } from '../../../engine/image/types.ts';
import type { Executor } from '../../../engine/solver/index.ts';
import { graphOf, memoryCache, run, scratch, solved, vertex } from './doubles.ts';

type Files = Readonly<Record<string, string>>;

/** Layers that hold files: a RUN `date PATH` writes what no other run writes, `cp FROM TO` what is there, and copies take what stages have. */
function filing(): Executor & { readonly runs: string[]; filesOf(layers: readonly Digest[]): Files } {
  const layers = new Map<Digest, Files>();
  const runs: string[] = [];
  let clock = 0;
  const filesOf = (chain: readonly Digest[]): Files =>
    Object.assign({}, ...chain.map((layer) => layers.get(layer))) as Files;
  const keep = (name: string, files: Files): Digest => {
    runs.push(name);
    const digest = digestOf(JSON.stringify([name, files]));
    layers.set(digest, files);
    return digest;
  };
  const taken = ({ sources }: { readonly sources: readonly string[] }, stage: readonly Digest[]): string =>
    filesOf(stage)[sources[0] ?? ''] ?? '';
  return {
    runs,
    filesOf,
    run: async ({ name }, { args }, base) => {
      const [verb, from = '', to = ''] = (args[2] ?? '').split(' ');
      // As a real layer, also one with the files of before has another time.
      clock += 1;
      const files = verb === 'cp' ? { [to]: filesOf(base)[from] ?? '' } : { [from]: `made at ${clock}` };
      return keep(name, { ...files, [`time of ${name}`]: String(clock) });
    },
    file: async ({ name }, { actions }, _base, inputs) => {
      const files = actions.flatMap((action) =>
        action.action === 'copy' && typeof action.from === 'number'
          ? [[action.dest, taken(action, inputs.get(action.from) ?? [])] as const]
          : [],
      );
      return { layer: keep(name, Object.fromEntries(files)), digests: [] };
    },
    checksum: async (_vertex, stage, action) => [digestOf(taken(action, stage))],
    contextDigest: async () => '',
    contextShape: async () => undefined,
    has: async (layer) => layers.has(layer),
  };
}

function take(source: string, dest: string, base: Vertex, from: Vertex): Vertex {
  const action: FileAction = {
    action: 'copy',
    from: 1,
    sources: [source],
    dest,
    destIsDirectory: false,
    unpack: false,
  };
  return vertex(`take ${dest}`, { type: 'file', actions: [action] }, [base, from]);
}

/** `made` is copied from, `side` has a copy of it, and the image has files of both. */
function stages({ filtered = false, more = false }: { readonly filtered?: boolean; readonly more?: boolean } = {}) {
  const base = scratch();
  const made = run('date /f', base, { ignoreCache: filtered });
  const side = take('/f', '/side', run('date /g', base), made);
  const last = take('/side', '/two', take('/f', '/one', base, made), side);
  const first = take('/f', '/one', base, made);
  const third = take('/f', '/three', last, made);
  const all = [base, made, run('date /g', base), side, first, last, ...(more ? [third] : [])];
  const to = (target: Vertex): Graph => graphOf(target, all);
  return { made: to(made), side: to(side), image: to(more ? third : last), below: to(run('date /g', base)) };
}

/** What the files say of the RUN that made them. */
function origins(
  executor: ReturnType<typeof filing>,
  layers: readonly { readonly diffId: Digest }[],
): readonly unknown[] {
  const files = executor.filesOf(layers.map(({ diffId }) => diffId));
  return ['/one', '/two', '/three'].flatMap((name) => files[name] ?? []);
}

describe('an image of stages of which one was made again', () => {
  test('has the files of one making, where another stage has taken the new ones', async () => {
    const [executor, cache] = [filing(), memoryCache()];
    await solved(stages().image, executor, cache);
    await solved(stages({ filtered: true }).side, executor, cache);
    const { target } = await solved(stages().image, executor, cache);
    const [one, two] = origins(executor, target.layers);
    expect(one).toBe(two);
    expect(one).not.toBe('made at 1');
    executor.runs.length = 0;
    expect((await solved(stages().image, executor, cache)).target.layers).toEqual(target.layers);
    expect(executor.runs).toEqual([]);
  });

  test.each(['recorded', 'forgotten'])('has them where a new copy needs the stage, %s', async (state) => {
    const [executor, cache] = [filing(), memoryCache()];
    await solved(stages().image, executor, cache);
    await solved(stages({ filtered: true }).made, executor, cache);
    // As a cache that holds the steps of the image alone.
    if (state === 'forgotten')
      for (const [key, { op }] of cache.records) if (JSON.stringify(op).includes('"exec"')) cache.records.delete(key);
    const { target } = await solved(stages({ more: true }).image, executor, cache);
    const found = origins(executor, target.layers);
    expect([found.length, new Set(found).size]).toEqual([3, 1]);
    executor.runs.length = 0;
    expect((await solved(stages({ more: true }).image, executor, cache)).target.layers).toEqual(target.layers);
    expect(executor.runs).toEqual([]);
  });

  test('runs a step that is built without cache once', async () => {
    const [executor, cache] = [filing(), memoryCache()];
    await solved(stages().image, executor, cache);
    for (const [key, { op }] of cache.records) if (JSON.stringify(op).includes('/f')) cache.records.delete(key);
    executor.runs.length = 0;
    const { target } = await solved(stages({ filtered: true, more: true }).image, executor, cache);
    expect(executor.runs.filter((name) => name === 'date /f')).toHaveLength(1);
    expect(new Set(origins(executor, target.layers)).size).toBe(1);
  });
});

import { describe, expect, test } from '@jest/globals';
import { readChmod } from '../../../engine/graph/chmod.ts';
import type { CopyFileAction, FileAction, Graph } from '../../../engine/graph/index.ts';
import { createResolver, graphOf } from '../../helpers/graph.ts';

function actionsOf(graph: Graph): readonly FileAction[] {
  return graph.vertices.flatMap(({ op }) => (op.type === 'file' ? op.actions : []));
}

describe('COPY', () => {
  test('splits sources of --parents at the pivot', async () => {
    const graph = await graphOf('FROM scratch\nCOPY --parents a/b x/./y/*.c ./ ./z/./ /d/\n');
    expect(actionsOf(graph)).toMatchObject([
      { sources: ['.', 'x', '.', 'z'], include: ['a/b', 'y/*.c', '', ''], destIsDirectory: true },
    ]);
  });

  test.each([
    ['/../../x', '/x'],
    ['../../../x', '/x'],
    ['\\..\\..\\x', '/w/....x'],
    ['/a/../../../', '/'],
  ])('never leaves the root by its destination %s', async (dest, path) => {
    const graph = await graphOf(`FROM scratch\nWORKDIR /w\nCOPY x ${dest}\n`);
    expect(actionsOf(graph).filter(({ action }) => action === 'copy')).toMatchObject([{ dest: path }]);
  });

  test('expands here-documents unless their word is quoted, and keeps the quotes in them', async () => {
    const graph = await graphOf('FROM scratch\nARG V=1\nCOPY <<A <<"B" f /d/\n"$V" \\$V\nA\n$V\nB\n');
    expect(actionsOf(graph)).toMatchObject([
      { action: 'copy', sources: ['f'] },
      { action: 'inline', name: 'A', data: '"1" $V\n' },
      { action: 'inline', name: 'B', data: '$V\n' },
    ]);
    expect(graph.image.history.at(-1)?.createdBy).toBe('COPY f <<A <<B /d/ # buildkit');
  });

  test('takes --from for an image where it is no stage, once, and without its triggers', async () => {
    const resolver = createResolver({ OnBuild: ['RUN make'] });
    const graph = await graphOf(
      'FROM scratch\nCOPY --from=busybox:1 /bin /bin\nCOPY --from=busybox:1 /etc /etc\n',
      {},
      resolver,
    );
    expect(resolver.asked).toHaveLength(1);
    const images = graph.vertices.filter(({ op }) => op.type === 'image');
    const copies = graph.vertices.filter(({ op }) => op.type === 'file');
    expect(images).toHaveLength(1);
    expect(copies.map(({ inputs, name }) => [inputs[1], name])).toEqual([
      [images[0]?.id, '[1/2] COPY --from=busybox:1 /bin /bin'],
      [images[0]?.id, '[2/2] COPY --from=busybox:1 /etc /etc'],
    ]);
  });

  test('knows a linked copy from another, unless a mode is given, as BuildKit', async () => {
    const linked = async (flags: string): Promise<unknown> =>
      (await graphOf(`FROM a\nCOPY ${flags} x /x\n`)).vertices.map(({ op }) => op.type === 'file' && op.link);
    expect(await linked('--link')).toEqual([false, true]);
    expect(await linked('--link=false')).toEqual([false, undefined]);
    expect(await linked('--link --chmod=644')).toEqual([false, undefined]);
  });

  test('unpacks for ADD alone, unless told not to', async () => {
    const graph = await graphOf('FROM scratch\nADD a /\nADD --unpack=false b /\nCOPY c /\nADD --unpack d /\n');
    expect(actionsOf(graph).map((action) => (action as CopyFileAction).unpack)).toEqual([true, false, false, true]);
  });

  test.each([
    ['755', { mode: 0o755 }],
    ['04755', { mode: 0o4755 }],
    ['u=rwX', { modeChanges: [{ clear: 0o4700, set: 0o600, setIfExecutable: 0o100, copy: null }] }],
    [
      '+x,o-w',
      {
        modeChanges: [
          { clear: 0, set: 0o111, setIfExecutable: 0, copy: null },
          { clear: 0o002, set: 0, setIfExecutable: 0, copy: null },
        ],
      },
    ],
    [
      'go=u',
      {
        modeChanges: [{ clear: 0o2077, set: 0, setIfExecutable: 0, copy: { from: 'user', to: 0o077, remove: false } }],
      },
    ],
    ['a=', { modeChanges: [{ clear: 0o6777, set: 0, setIfExecutable: 0, copy: null }] }],
    [
      'u+s,o+t',
      {
        modeChanges: [
          { clear: 0, set: 0o4000, setIfExecutable: 0, copy: null },
          { clear: 0, set: 0, setIfExecutable: 0, copy: null },
        ],
      },
    ],
    [
      'g+r-w',
      {
        modeChanges: [
          { clear: 0, set: 0o040, setIfExecutable: 0, copy: null },
          { clear: 0o020, set: 0, setIfExecutable: 0, copy: null },
        ],
      },
    ],
  ])('reads --chmod=%s', (text, expected) => {
    expect(readChmod(text)).toEqual(expected);
  });
});

describe('a named context', () => {
  test('takes the place of a stage, of a base and of --from', async () => {
    const resolver = createResolver();
    const graph = await graphOf(
      'FROM nosuch AS deps\nRUN make\nFROM alpine\nCOPY --from=deps /a /a\nCOPY --from=assets /b /b\n',
      {
        contexts: {
          Deps: { type: 'files' },
          'docker.io/library/alpine:latest': { type: 'image', reference: 'mirror/alpine:3' },
          assets: { type: 'files' },
        },
      },
      resolver,
    );
    expect(resolver.asked.map(String).join()).toContain('mirror/alpine:3');
    expect(resolver.asked).toHaveLength(1);
    expect(actionsOf(graph)).toMatchObject([
      { from: { type: 'named', name: 'Deps' }, sources: ['.'], dest: '/' },
      { from: 1, sources: ['/a'] },
      { from: { type: 'named', name: 'assets' }, sources: ['b'] },
    ]);
    expect(graph.vertices.map(({ op }) => op.type)).not.toContain('exec');
  });
});

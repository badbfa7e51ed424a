import { describe, expect, test } from '@jest/globals';
import type { ExecOp, Graph, Vertex } from '../../../engine/graph/index.ts';
import { createResolver, graphOf } from '../../helpers/graph.ts';

const runs = ({ vertices }: Graph): readonly (Vertex & { readonly op: ExecOp })[] =>
  vertices.flatMap((vertex) => (vertex.op.type === 'exec' ? [{ ...vertex, op: vertex.op }] : []));

async function opOf(text: string, options: Parameters<typeof graphOf>[1] = {}): Promise<ExecOp> {
  const op = runs(await graphOf(`FROM a\n${text}`, options)).at(-1)?.op;
  if (!op) throw new Error('there is no RUN');
  return op;
}

describe('a mount of a RUN', () => {
  test.each([
    [
      'type=cache,target=c',
      { type: 'cache', target: '/w/c', id: 'c', sharing: 'shared', source: '/', readonly: false },
    ],
    ['type=cache,target=/c/,id=x', { type: 'cache', target: '/c', id: 'x' }],
    [
      'type=cache,dst=/c,sharing=locked,mode=0700,uid=1,gid=$N,ro',
      { sharing: 'locked', mode: 0o700, uid: 1, gid: 3, readonly: true },
    ],
    ['type=tmpfs,destination=/t,size=1m', { type: 'tmpfs', target: '/t', size: 1048576 }],
    ['type=secret,id=a/b', { type: 'secret', id: 'a/b', target: '/run/secrets/b', mode: 0o400, required: false }],
    ['type=secret,target=/s/k,required', { type: 'secret', id: 'k', target: '/s/k', required: true }],
    ['type=secret,id=k,env=K', { type: 'secret', id: 'k', target: undefined, env: 'K' }],
    ['type=secret,id=k,env=K,target=k', { type: 'secret', target: '/w/k', env: 'K' }],
    ['type=ssh', { type: 'ssh', id: 'default', target: '/run/buildkit/ssh_agent.0', mode: 0o600 }],
    ['target=/b,source=../../x', { type: 'bind', target: '/b', source: '/x', input: 1, readonly: true }],
    ['target=/b,rw', { type: 'bind', source: '/', readonly: false }],
  ])("has BuildKit's defaults: %s", async (flag, expected) => {
    const { mounts = [] } = await opOf(`WORKDIR /w\nARG N=3\nRUN --mount=${flag} true\n`);
    expect(mounts[0]).toMatchObject(expected);
  });

  test('puts caches of a namespace apart', async () => {
    const { mounts } = await opOf('RUN --mount=type=cache,target=/c true\n', {
      buildArgs: { BUILDKIT_CACHE_MOUNT_NS: 'team' },
    });
    expect(mounts?.[0]).toMatchObject({ id: 'team//c' });
  });

  test('tells ssh where its first agent is, unless the Dockerfile does', async () => {
    const two = await opOf('RUN --mount=type=ssh --mount=type=ssh,id=b true\n');
    expect(two.env.at(-1)).toBe('SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0');
    expect(two.mounts?.[1]).toMatchObject({ target: '/run/buildkit/ssh_agent.1' });
    const own = await opOf('ENV SSH_AUTH_SOCK=/mine\nRUN --mount=type=ssh true\n');
    expect(own.env.filter((entry) => entry.startsWith('SSH'))).toEqual(['SSH_AUTH_SOCK=/mine']);
  });

  test('takes files of stages and images as inputs, each once, and of the context as a step of its own', async () => {
    const resolver = createResolver();
    const graph = await graphOf(
      `FROM a AS x
RUN make
FROM b
RUN --mount=from=x,source=/o,target=/1 --mount=from=0,target=/2 --mount=from=tools:1,target=/3 --mount=target=/4 use
`,
      {},
      resolver,
    );
    const [make, use] = runs(graph);
    const [base, stage, image, context] = use?.inputs ?? [];
    expect(resolver.asked.sort()).toEqual(['a', 'b', 'tools:1']);
    expect(stage).toBe(make?.id);
    expect(use?.op.mounts?.map((mount) => 'input' in mount && mount.input)).toEqual([1, 1, 2, 3]);
    const by = new Map(graph.vertices.map((vertex) => [vertex.id, vertex]));
    expect(by.get(base ?? '')?.op).toMatchObject({ type: 'image', reference: 'docker.io/library/b' });
    expect(by.get(image ?? '')?.op).toMatchObject({ type: 'image', reference: 'docker.io/library/tools:1' });
    expect(by.get(context ?? '')).toMatchObject({ internal: true, name: '[internal] mount the build context' });
  });

  test('is part of what tells two steps apart', async () => {
    const ids = async (flags: string): Promise<string | undefined> =>
      runs(await graphOf(`FROM a\nRUN ${flags} true\n`)).at(-1)?.id;
    const all = await Promise.all(
      ['', '--network=none', '--mount=type=tmpfs,target=/t', '--mount=type=tmpfs,target=/u'].map(ids),
    );
    expect(new Set(all).size).toBe(all.length);
  });
});

describe('a here-document that begins with #!', () => {
  test('is a program that the shell starts, as in BuildKit', async () => {
    const op = await opOf('RUN <<-EOF\n#!/bin/awk -f\n\tBEGIN {}\nEOF\n');
    expect(op.args).toEqual(['/bin/sh', '-c', '/dev/pipes/EOF']);
    expect(op.mounts).toEqual([{ type: 'script', target: '/dev/pipes/EOF', content: '#!/bin/awk -f\nBEGIN {}\n' }]);
  });

  test('is text for the shell beside another word', async () => {
    const op = await opOf('RUN cat <<EOF\n#!/bin/awk\nEOF\n');
    expect(op.args.at(-1)).toBe('cat <<EOF\n#!/bin/awk\nEOF');
  });
});

describe('ONBUILD', () => {
  test('fires before the instructions of the stage that stands on it, with its variables', async () => {
    const base = createResolver({ OnBuild: ['ENV A=b', 'RUN echo $A', 'COPY --from=tools /t /t'] });
    const graph = await graphOf('FROM scratch AS tools\nFROM base\nRUN last\n', { target: '1' }, base);
    expect(runs(graph).map(({ op }) => op.args.at(-1))).toContain('echo $A');
    expect(graph.vertices.at(-1)?.name).toMatch(/^\[stage-1 \d\/\d] RUN last$/);
    expect(graph.image.config).toMatchObject({ Env: expect.arrayContaining(['A=b']) });
    expect(graph.image.config.OnBuild).toBeUndefined();
    expect(graph.image.history.map(({ createdBy }) => createdBy)).toContain('COPY /t /t # buildkit');
  });

  test('of a stage fires in the stages that stand on it alone, and is recorded in its image', async () => {
    const text = 'FROM a AS x\nONBUILD RUN fired\nFROM x AS y\nRUN own\nFROM y\nRUN last\n';
    const commands = async (target: string): Promise<readonly (string | undefined)[]> =>
      runs(await graphOf(text, { target })).map(({ op }) => op.args.at(-1));
    expect(await commands('y')).toEqual(['fired', 'own']);
    expect(await commands('2')).toEqual(['fired', 'own', 'last']);
    expect((await graphOf(text, { target: 'x' })).image.config.OnBuild).toEqual(['RUN fired']);
  });
});

import { describe, expect, test } from '@jest/globals';
import type { CopyFileAction, ExecOp, Graph, Vertex } from '../../../engine/graph/index.ts';
import { createResolver, graphOf } from '../../helpers/graph.ts';

function exec(graph: Graph, part = ''): ExecOp {
  const ops = graph.vertices.map(({ op }) => op).filter((op) => op.type === 'exec');
  const found = ops.findLast((op) => op.args.join(' ').includes(part));
  if (!found) throw new Error(`no RUN with ${part}`);
  return found;
}

function copies(graph: Graph): readonly CopyFileAction[] {
  const files = graph.vertices.map(({ op }) => op).filter((op) => op.type === 'file');
  return files.flatMap(({ actions }) => actions.filter((action) => action.action === 'copy'));
}

function target(graph: Graph): Vertex {
  const found = graph.vertices.find(({ id }) => id === graph.target);
  if (!found) throw new Error('the target is missing');
  return found;
}

describe('vertices', () => {
  test('are named as BuildKit names them', async () => {
    const graph = await graphOf(
      'FROM python:3 AS builder\nARG V=1\nCOPY requirements.txt .\nRUN pip install x==$V\n\nFROM python:3\nCOPY --from=builder /a /b\ncopy app "/srv/"\n',
    );
    const from = 'FROM docker.io/library/python:3@sha256:707974686f6e3a33';
    expect(graph.vertices.map(({ name }) => name.replace(/3300+$/, '33'))).toEqual([
      `[builder 1/3] ${from}`,
      '[builder 2/3] COPY requirements.txt .',
      '[builder 3/3] RUN pip install x==1',
      '[stage-1 2/3] COPY --from=builder /a /b',
      '[stage-1 3/3] COPY app /srv/',
    ]);
  });

  test('of a single stage have no stage in their names, and numbers are padded', async () => {
    const graph = await graphOf(`FROM a\n${'RUN b\n'.repeat(10)}`);
    expect(graph.vertices[1]?.name).toBe('[ 2/11] RUN b');
  });

  test('come inputs first, and the target is the last step', async () => {
    const graph = await graphOf('FROM a AS x\nRUN 1\nFROM b\nCOPY --from=x /1 /\nRUN 2\n');
    const seen = new Set<string>();
    for (const { id, inputs } of graph.vertices) {
      expect(inputs.every((input) => seen.has(input))).toBe(true);
      seen.add(id);
    }
    expect(target(graph).name).toBe('[stage-1 3/3] RUN 2');
  });

  test('are not made by metadata', async () => {
    const plain = await graphOf('FROM a\nRUN b\n');
    const graph = await graphOf(
      'FROM a\nLABEL l=1\nEXPOSE 80\nCMD c\nENTRYPOINT ["e"]\nVOLUME /v\nSTOPSIGNAL 9\nHEALTHCHECK NONE\nRUN b\n',
    );
    expect(graph.target).toBe(plain.target);
  });

  test('of equal stages are one', async () => {
    const graph = await graphOf(
      'FROM a AS x\nRUN b\nFROM a AS y\nRUN b\nFROM a\nCOPY --from=x /1 /\nCOPY --from=y /2 /\n',
    );
    expect(graph.vertices).toHaveLength(4);
  });

  test('keep their id whatever the proxies, names and places are', async () => {
    const before = await graphOf('FROM a\nRUN b\n');
    const after = await graphOf('\n\nFROM a AS other\nRUN b\n', { buildArgs: { https_proxy: 'http://proxy:3128' } });
    expect(after.target).toBe(before.target);
    expect(exec(after).proxyEnv).toEqual(['HTTPS_PROXY=http://proxy:3128', 'https_proxy=http://proxy:3128']);
    expect(exec(after).env).toEqual(['PATH=/usr/bin']);
  });

  test.each([
    ['RUN b', 'RUN c'],
    ['ENV A=1\nRUN b', 'ENV A=2\nRUN b'],
    ['ENV A=1 B=2\nRUN b', 'ENV B=2 A=1\nRUN b'],
    ['USER 1\nRUN b', 'USER 2\nRUN b'],
    ['WORKDIR /a\nRUN b', 'WORKDIR /b\nRUN b'],
    ['COPY a b', 'COPY --chmod=600 a b'],
    ['RUN ["ab", "c"]', 'RUN ["a", "bc"]'],
  ])('change their id between %j and %j', async (one, other) => {
    const [a, b] = [await graphOf(`FROM x\n${one}\n`), await graphOf(`FROM x\n${other}\n`)];
    expect(a.target).not.toBe(b.target);
  });

  test('carry the lines of their instruction', async () => {
    const graph = await graphOf('FROM a\n\nRUN b \\\n  c\n');
    expect(target(graph).location).toMatchObject({ file: 'Dockerfile', startLine: 3, endLine: 4 });
  });

  test('ignore the cache when asked to, all or by stage', async () => {
    const text = 'FROM a AS x\nRUN 1\nFROM b AS y\nCOPY --from=x /1 /\n';
    const all = await graphOf(text, { noCache: true });
    expect(all.vertices.every(({ ignoreCache }) => ignoreCache)).toBe(true);
    const some = await graphOf(text, { noCacheFilter: ['X'] });
    expect(some.vertices.filter(({ ignoreCache }) => ignoreCache).map(({ stage }) => stage)).toEqual(['x', 'x']);
  });
});

describe('FROM', () => {
  test("takes ARGs with defaults and the user's values", async () => {
    const resolver = createResolver();
    await graphOf('ARG PY=3.11\nARG BASE=python:${PY}-slim\nFROM $BASE\n', { buildArgs: { PY: '3.12' } }, resolver);
    expect(resolver.asked).toEqual(['python:3.12-slim']);
  });

  test('asks for each image once, and only for those that the target needs', async () => {
    const resolver = createResolver();
    const text = 'FROM a AS x\nFROM b AS unused\nFROM a AS y\nCOPY --from=x /1 /\nFROM y\nRUN 1\n';
    await graphOf(text, {}, resolver);
    expect(resolver.asked).toEqual(['a']);
  });

  test('goes on where an earlier stage ended: variables, ARGs, directory, user, history', async () => {
    const graph = await graphOf('FROM a AS Base\nARG V=1\nENV E=2\nWORKDIR /w\nUSER u\nFROM base\nRUN 1\n');
    expect(exec(graph)).toMatchObject({ env: ['V=1', 'PATH=/usr/bin', 'E=2'], cwd: '/w', user: 'u' });
    expect(graph.image.history.map(({ createdBy }) => createdBy)).toEqual([
      'ARG V=1',
      'ENV E=2',
      'WORKDIR /w',
      'USER u',
      'RUN |1 V=1 /bin/sh -c 1 # buildkit',
    ]);
  });

  test('scratch is an empty state with a PATH and a working directory', async () => {
    const graph = await graphOf('FROM scratch\nCOPY a /\n');
    expect(graph.vertices.map(({ op }) => op.type)).toEqual(['scratch', 'file']);
    expect(graph.vertices[1]?.name).toBe('[1/1] COPY a /');
    const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    expect(graph.image.config).toEqual({ WorkingDir: '/', Env: [`PATH=${PATH}`] });
  });

  test('--platform is expanded, and a stage on it inherits it', async () => {
    const graph = await graphOf('FROM --platform=$BUILDPLATFORM a AS x\nFROM x\nRUN 1\n', {
      platform: { os: 'linux', architecture: 'arm64' },
      buildPlatform: { os: 'linux', architecture: 'amd64' },
    });
    expect(graph.image.platform).toEqual({ os: 'linux', architecture: 'amd64' });
  });

  test('builds a stage by name in any case, or by number', async () => {
    const text = 'FROM a AS x\nRUN 1\nFROM b\nRUN 2\n';
    expect(exec(await graphOf(text, { target: 'X' })).args.at(-1)).toBe('1');
    expect(exec(await graphOf(text, { target: '1' })).args.at(-1)).toBe('2');
  });
});

describe('ARG', () => {
  test('is seen in a stage only after its own line, with the global default', async () => {
    const graph = await graphOf('ARG V=global\nFROM a\nRUN 1$V\nARG V\nRUN 2$V\n');
    expect(exec(graph, '1').env).toEqual(['PATH=/usr/bin']);
    expect(exec(graph, '2').env).toEqual(['PATH=/usr/bin', 'V=global']);
  });

  test('of the platform is known by name', async () => {
    const graph = await graphOf('FROM a\nARG TARGETARCH TARGETPLATFORM\nRUN 1\n');
    expect(exec(graph).env).toEqual(['PATH=/usr/bin', 'TARGETARCH=amd64', 'TARGETPLATFORM=linux/amd64']);
  });

  test('leaves ENV of the same line with the old value', async () => {
    const graph = await graphOf('FROM a\nENV A=1\nENV A=2 B=$A\nRUN 1\n');
    expect(exec(graph).env).toEqual(['PATH=/usr/bin', 'A=2', 'B=1']);
  });

  test('that nobody takes is a warning naming it', async () => {
    const graph = await graphOf('ARG A\nFROM a\nARG B\n', {
      buildArgs: { A: '1', B: '2', TYPO: '3', HTTP_PROXY: '4' },
    });
    expect(graph.warnings.map(({ message }) => message)).toEqual(['Build arguments that no ARG takes: TYPO']);
  });
});

describe('RUN', () => {
  test('in the shell form is run by SHELL, in the exec form by nothing', async () => {
    const graph = await graphOf('FROM a\nSHELL ["/bin/bash", "-c"]\nRUN a && \\\n  b\nRUN ["c", "$D"]\n');
    expect(exec(graph, 'a').args).toEqual(['/bin/bash', '-c', 'a &&   b']);
    expect(exec(graph, 'c $D').args).toEqual(['c', '$D']);
  });

  test('of a here-document gives the shell its text', async () => {
    const graph = await graphOf('FROM a\nRUN <<EOF\nset -e\necho $HOME\nEOF\nRUN cat <<A >b\n1\nA\n');
    expect(exec(graph, 'set').args).toEqual(['/bin/sh', '-c', 'set -e\necho $HOME\n']);
    expect(exec(graph, 'cat').args.at(-1)).toBe('cat <<A >b\n1\nA');
    expect(graph.vertices[1]?.name).toBe('[2/3] RUN <<EOF (set -e...)');
  });
});

describe('COPY', () => {
  test('resolves its destination below WORKDIR', async () => {
    const graph = await graphOf(
      'FROM a\nWORKDIR /w\nWORKDIR x\nCOPY a .\nCOPY a b\nCOPY a b/\nCOPY a /../../c\nCOPY a b c\nCOPY a ..\n',
    );
    expect(copies(graph).map(({ dest, destIsDirectory }) => [dest, destIsDirectory])).toEqual([
      ['/w/x', true],
      ['/w/x/b', false],
      ['/w/x/b', true],
      ['/c', false],
      // As with BuildKit, two sources are no reason to take it for a directory.
      ['/w/x/c', false],
      ['/w', true],
    ]);
  });

  test('clamps sources that climb out, and keeps what was written of the context for its message', async () => {
    const graph = await graphOf('FROM a AS x\nFROM b\nCOPY ../../etc/passwd . ./\nCOPY --from=x ../../etc /e\n');
    expect(copies(graph).map(({ sources }) => sources)).toEqual([['../../etc/passwd', '.'], ['/etc']]);
  });

  test('takes owner and mode as written, and the stage as second input', async () => {
    const graph = await graphOf('FROM a AS x\nFROM b\nARG U=app\nCOPY --from=0 --chown=$U:$U --chmod=0750 /v /v\n');
    expect(copies(graph)[0]).toMatchObject({ from: 1, owner: 'app:app', mode: 0o750, unpack: false });
    expect(target(graph).inputs).toHaveLength(2);
    expect(graph.image.history.at(-1)?.createdBy).toBe('COPY --chown=app:app --chmod=0750 /v /v # buildkit');
  });

  test('of ADD looks for archives', async () => {
    const graph = await graphOf('FROM a\nADD a.tar b.tar /x\n');
    expect(copies(graph)[0]).toMatchObject({ from: 'context', destIsDirectory: false, unpack: true });
  });
});

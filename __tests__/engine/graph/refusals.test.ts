import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EngineError } from '../../../engine/base/errors.ts';
import type { Resolver } from '../../../engine/graph/index.ts';
import { createResolver, graphOf } from '../../helpers/graph.ts';
import { runs } from '../../helpers/property.ts';

async function errorOf(act: Promise<unknown>): Promise<EngineError> {
  try {
    await act;
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a graph is refused', () => {
  test.each([
    ['FROM a\nRUN --security=insecure b\n', 'UNSUPPORTED_FLAG', '--security=insecure', 2],
    ['FROM a\nRUN --network=host b\n', 'DOCKERFILE_INVALID', 'network.host is not allowed', 2],
    ['FROM a\nRUN --device=nvidia.com/gpu=all b\n', 'UNSUPPORTED_FLAG', '--device', 2],
    ['FROM a\nCOPY <<../E /c\nx\n../E\n', 'DOCKERFILE_INVALID', '"../E" is no file name', 2],
    ['FROM a\nCOPY --chmod=u+y b c\n', 'DOCKERFILE_INVALID', '--chmod=u+y', 2],
    ['FROM a\nCOPY --chmod=u=r,, b c\n', 'DOCKERFILE_INVALID', '--chmod=u=r,,', 2],
    ['FROM a\nADD --checksum=sha256:1 b /x\n', 'DOCKERFILE_INVALID', '--checksum needs a source', 2],
    ['FROM a\nADD --checksum=sha256:1 https://a/b /x\n', 'DOCKERFILE_INVALID', '--checksum=sha256:1 is no digest', 2],
    ['FROM a\nADD --checksum=abc https://a/b.git https://a/c.git /x\n', 'DOCKERFILE_INVALID', 'several sources', 2],
    ['FROM a\nADD --checksum=abcdef1 https://a/b.git?checksum=1234567 /x\n', 'DOCKERFILE_INVALID', 'disagree', 2],
    ['FROM a\nADD --keep-git-dir https://a/b.git?keep-git-dir=0 /x\n', 'DOCKERFILE_INVALID', 'disagree', 2],
    ['FROM a\nADD https://a/b.git?nosuch=1 /x\n', 'DOCKERFILE_INVALID', 'no parameter "nosuch"', 2],
    ['FROM a\nCOPY https://example.com/x /x\n', 'DOCKERFILE_INVALID', 'COPY takes no address', 2],
    ['FROM a\nCOPY git@github.com:a/b.git /x\n', 'DOCKERFILE_INVALID', 'COPY takes no address', 2],
    ['FROM a AS x\nONBUILD RUN --device=b c\nFROM x\n', 'UNSUPPORTED_FLAG', 'RUN --device', 3],
    ['FROM a AS x\nONBUILD COPY --from=9 b c\nFROM x\n', 'DOCKERFILE_INVALID', 'only stages 0 to 1', 3],
    ['FROM a AS x\nRUN --mount=from=x,target=/b c\n', 'DOCKERFILE_INVALID', 'from stage "x"', 2],
    ['FROM a\nRUN --mount=from=3,target=/b c\n', 'DOCKERFILE_INVALID', 'only stages 0 to 0', 2],
    ['FROM a\nRUN --mount=type=cache b\n', 'DOCKERFILE_INVALID', 'needs a target', 2],
    ['FROM a\nRUN --mount=target=/ b\n', 'DOCKERFILE_INVALID', 'is the root', 2],
    ['FROM a\nRUN --mount=type=cache,target=/c,source=../x b\n', 'DOCKERFILE_INVALID', 'leads out', 2],
    ['FROM a\nRUN --mount=type=secret,id=a,env=B=C b\n', 'DOCKERFILE_INVALID', 'no name of a variable', 2],
    ['FROM a AS x\nCOPY --from=x b c\n', 'DOCKERFILE_INVALID', 'it is the stage itself', 2],
    [
      'FROM a\nCOPY --from=y b c\nFROM a AS y\nFROM a\nCOPY --from=0 d e\n',
      'DOCKERFILE_INVALID',
      'it comes later, on line 3',
      2,
    ],
    ['FROM a\nCOPY --from=99 b c\n', 'DOCKERFILE_INVALID', 'only stages 0 to 0', 2],
    ['FROM a\nCOPY --from=-1 b c\n', 'DOCKERFILE_INVALID', 'stage -1', 2],
    ['FROM $NONE\n', 'DOCKERFILE_INVALID', 'the base "$NONE" is empty', 1],
    ['FROM --platform=$NONE a\n', 'DOCKERFILE_INVALID', 'the platform "$NONE" is empty', 1],
    ['FROM --platform=a/b/c/d a\n', 'PLATFORM_INVALID', 'a/b/c/d', 1],
    ['FROM a\nUSER 4294967296\n', 'DOCKERFILE_INVALID', 'uid out of range', 2],
    ['FROM a\nUSER 2147483648\n', 'DOCKERFILE_INVALID', 'uid out of range', 2],
    ['FROM a\nUSER -1\n', 'DOCKERFILE_INVALID', 'uid out of range', 2],
    [`FROM a\nUSER 1${'0'.repeat(36)}\n`, 'DOCKERFILE_INVALID', 'uid out of range', 2],
    ['FROM a\nUSER a:b:c\n', 'DOCKERFILE_INVALID', 'too many parts', 2],
    ['FROM a\nCOPY --chown=1:-2 b c\n', 'DOCKERFILE_INVALID', 'uid out of range', 2],
    ['FROM a\nCOPY --chmod=9 b c\n', 'DOCKERFILE_INVALID', '--chmod=9', 2],
    ['FROM a\nCOPY --chmod=17777 b c\n', 'DOCKERFILE_INVALID', '--chmod=17777', 2],
    ['FROM a\nEXPOSE 70000\n', 'DOCKERFILE_INVALID', '70000', 2],
    ['FROM a\nEXPOSE 80/http\n', 'DOCKERFILE_INVALID', 'protocol', 2],
    ['FROM a\nEXPOSE 9-8\n', 'DOCKERFILE_INVALID', '9-8', 2],
    ['FROM a\nSTOPSIGNAL SIGTREM\n', 'DOCKERFILE_INVALID', 'SIGTREM', 2],
    ['FROM a\nARG N\nENV $N=1\n', 'DOCKERFILE_INVALID', 'variable named ""', 3],
    ['FROM a\nWORKDIR ${X?no X}\n', 'DOCKERFILE_INVALID', 'X: no X', 2],
  ])('with name and line: %j', async (text, code, part, line) => {
    const error = await errorOf(graphOf(text, { target: text.includes('AS y') ? '0' : '' }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(part);
    expect(error.location?.startLine).toBe(line);
  });

  test('for rights that RUN does not give, with what can be done instead', async () => {
    const { hint } = await errorOf(graphOf('FROM a\nRUN --security=insecure b\n'));
    expect(hint).toBe(
      'Leave the flag out if the command needs no more rights than RUN has; else run it in a container: berth run --privileged',
    );
  });

  test('for a history that no builder could hand on, at the line where it grows too long', async () => {
    // Each is spelled out in 644 266 characters, as by Docker, which fails when it has made all of them.
    const error = await errorOf(graphOf(`FROM a\n${'EXPOSE 1-65535\n'.repeat(300)}`));
    expect(error.message).toContain('the history of the stage is longer than 16777216 characters');
    expect(error.location?.startLine).toBe(28);
  });

  test('for a target that is no stage, with the list of those that are', async () => {
    const error = await errorOf(graphOf('FROM a AS build\nFROM a\nFROM a AS run\n', { target: 'biuld' }));
    expect(error.code).toBe('TARGET_NOT_FOUND');
    expect(error.message).toContain('build, 1, run');
  });

  test('for a file with only ARG, with the line to add', async () => {
    const error = await errorOf(graphOf('ARG A=1\n'));
    expect(error.code).toBe('DOCKERFILE_NO_STAGE');
    expect(error.hint).toContain('FROM python:3.11-slim');
  });

  test('for a near miss of a stage name, with what was meant', async () => {
    const resolver: Resolver = {
      resolve: (name) =>
        name === 'a'
          ? createResolver().resolve(name, { os: 'linux', architecture: 'amd64' })
          : Promise.reject(new EngineError('IMAGE_NOT_FOUND', `Cannot find ${name}`, { hint: 'Check the name' })),
    };
    const error = await errorOf(graphOf('FROM a AS builder\nFROM a\nCOPY --from=bulder /x /x\n', {}, resolver));
    expect(error).toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      hint: 'Did you mean the stage --from=builder?',
      location: { startLine: 3 },
    });
  });

  test.each([
    ['ARG BASE\nFROM $BASE', {}, 'empty: ARG BASE has no value', 'Pass --build-arg BASE=VALUE, or give it a default'],
    ['ARG BASE=a\nFROM ${BASE}', { BASE: '' }, 'empty: ARG BASE is empty', 'Pass --build-arg BASE=VALUE'],
    [
      'FROM $BASE',
      { BASE: 'a' },
      'no ARG BASE stands above the first FROM',
      'Write ARG BASE=VALUE above the first FROM',
    ],
    ['FROM a\nARG BASE=b\nFROM $BASE', {}, 'ARG BASE on line 2 belongs to its stage', 'Write ARG BASE=VALUE above'],
    ['ARG PYTHON_IMAGE=a\nFROM $PYTHON_IMGAE', {}, 'no ARG PYTHON_IMGAE', 'Did you mean $PYTHON_IMAGE?'],
    ['FROM $TARGETVARIANT', {}, 'TARGETVARIANT is empty for this platform', 'Leave TARGETVARIANT out'],
  ])(
    'for a base of variables without value, naming the one and how to give it: %j',
    async (text, buildArgs, state, hint) => {
      const error = await errorOf(graphOf(`${text}\n`, { buildArgs }));
      expect(error).toMatchObject({ code: 'DOCKERFILE_INVALID', location: { startLine: text.split('\n').length } });
      expect(error.message).toContain(state);
      expect(error.hint).toContain(hint);
    },
  );

  test('for a base that is no name without the value of a variable', async () => {
    const invalid = new EngineError('REFERENCE_INVALID', "Cannot use 'python:-slim' as an image name: …", {
      hint: '…',
    });
    const resolver: Resolver = { resolve: () => Promise.reject(invalid) };
    const text = 'ARG PYTHON_VERSION\nFROM python:${PYTHON_VERSION}-slim\n';
    expect(await errorOf(graphOf(text, {}, resolver))).toMatchObject({
      code: 'REFERENCE_INVALID',
      hint: 'ARG PYTHON_VERSION has no value. Pass --build-arg PYTHON_VERSION=VALUE, or give it a default above the first FROM: ARG PYTHON_VERSION=VALUE',
      location: { startLine: 2 },
    });
  });

  test.each(['FROM b', 'ONBUILD RUN b', 'MAINTAINER b', 'RUN a\nRUN b', 'NOSUCH b', 'RUN --mount=type=none b', ''])(
    'for a trigger of the base that is none, naming it: %j',
    async (trigger) => {
      const error = await errorOf(graphOf('\nFROM a\n', {}, createResolver({ OnBuild: ['RUN make', trigger] })));
      expect(error).toMatchObject({ code: 'DOCKERFILE_INVALID', location: { startLine: 2 } });
      if (!trigger.includes('none')) expect(error.message).toContain(JSON.stringify(trigger));
    },
  );

  test("with the resolver's own error and the line of FROM", async () => {
    const refused = new EngineError('IMAGE_NOT_FOUND', 'Cannot find nosuch:1: the registry has none', {
      hint: 'Check the tag',
    });
    const error = await errorOf(graphOf('\nFROM nosuch:1\n', {}, { resolve: () => Promise.reject(refused) }));
    expect(error).toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      hint: 'Check the tag',
      cause: refused,
      location: { startLine: 2 },
    });
  });

  test('before any image is asked for', async () => {
    const resolver = createResolver();
    await errorOf(graphOf('FROM a\nRUN --security=insecure b\n', {}, resolver));
    expect(resolver.asked).toEqual([]);
  });

  test('for the network of the host, unless the build has leave or is on it', async () => {
    const text = 'FROM a\nRUN --network=host b\nRUN c\n';
    const networks = async (options: Parameters<typeof graphOf>[1]): Promise<unknown> =>
      (await graphOf(text, options)).vertices.flatMap(({ op }) => (op.type === 'exec' ? [op.network] : []));
    for (const options of [{}, { network: 'none' }, { allowHostNetwork: false }] as const) {
      expect(await errorOf(networks(options))).toMatchObject({
        location: { startLine: 2 },
        hint: expect.stringContaining('--allow network.host') as unknown,
      });
    }
    expect(await networks({ allowHostNetwork: true })).toEqual(['host', undefined]);
    expect(await networks({ network: 'host' })).toEqual(['host', 'host']);
  });

  test('not for what the target does not need', async () => {
    const graph = await graphOf('FROM a AS x\nRUN --security=insecure b\nFROM a\nRUN c\n');
    expect(graph.vertices).toHaveLength(2);
  });
});

describe('a graph', () => {
  test('comes of any Dockerfile, or an error of the engine does', async () => {
    const line = fc.oneof(
      fc.constantFrom(
        'FROM a',
        'FROM scratch AS x',
        'FROM x',
        'ARG A=1',
        'ENV A=$A B="$C"',
        'WORKDIR $A',
        'USER $A',
        'COPY a b',
        'CMD a',
      ),
      fc
        .tuple(fc.constantFrom('EXPOSE', 'LABEL', 'COPY', 'RUN', 'VOLUME', 'STOPSIGNAL', 'USER', 'ENV'), fc.string())
        .map((parts) => parts.join(' ')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (lines) => {
        try {
          await graphOf(lines.join('\n'));
        } catch (error) {
          expect(error).toBeInstanceOf(EngineError);
        }
      }),
      runs(300),
    );
  });
});

import { describe, expect, test } from '@jest/globals';
import { isEngineError } from '../../../../engine/base/errors.ts';
import { RULES, type RuleName } from '../../../../engine/dockerfile/lint/rules.ts';
import type { Resolver } from '../../../../engine/graph/index.ts';
import { createResolver } from '../../../helpers/graph.ts';
import { lint, type LintOptions } from '../../../helpers/lint.ts';

const foreign: Resolver = {
  resolve: (reference) => createResolver().resolve(reference, { os: 'linux', architecture: 'arm64' }),
};

interface Example extends LintOptions {
  readonly bad: string;
  readonly at: string;
  /** The same without the fault. */
  readonly good: string;
}

/** One of each rule: what it finds, where, and how it is mended. */
const EXAMPLES: Readonly<Record<RuleName, Example>> = {
  StageNameCasing: {
    bad: 'FROM a AS Train\n',
    at: "1 StageNameCasing: Stage name 'Train' should be lowercase",
    good: 'FROM a AS train\n',
  },
  FromAsCasing: {
    bad: 'FROM a as train\n',
    at: "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match",
    good: 'from a as train\n',
  },
  NoEmptyContinuation: {
    bad: 'FROM a\nRUN pip install \\\n\n  torch\n',
    at: '4 NoEmptyContinuation: Empty continuation line',
    good: 'FROM a\nRUN pip install \\\n  # the model\n  torch\n',
  },
  ConsistentInstructionCasing: {
    bad: 'FROM a\nRun b\nRUN c\n',
    at: "2 ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (uppercase)",
    good: 'FROM a\nRUN b\nRUN c\n',
  },
  DuplicateStageName: {
    bad: 'FROM a AS train\nFROM b AS train\n',
    at: '2 DuplicateStageName: Duplicate stage name "train", stage names should be unique',
    good: 'FROM a AS train\nFROM b AS serve\n',
  },
  ReservedStageName: {
    bad: 'FROM a AS context\n',
    at: '1 ReservedStageName: Stage name should not use the same name as reserved stage "context"',
    good: 'FROM a AS contexts\n',
  },
  JSONArgsRecommended: {
    bad: 'FROM a\nCMD python serve.py\n',
    at: '2 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals',
    good: 'FROM a\nSHELL ["/bin/bash", "-c"]\nCMD python serve.py\n',
  },
  MaintainerDeprecated: {
    bad: 'FROM a\nMAINTAINER me\n',
    at: '2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label',
    good: 'FROM a\nLABEL org.opencontainers.image.authors=me\n',
  },
  UndefinedArgInFrom: {
    bad: 'ARG PYTHON=3.11\nFROM python:3${PYTHN}\n',
    at: "2 UndefinedArgInFrom: FROM argument 'PYTHN' is not declared (did you mean PYTHON?)",
    good: 'ARG PYTHON=3.11\nFROM python:${PYTHON}\n',
  },
  WorkdirRelativePath: {
    bad: 'FROM a\nWORKDIR app\n',
    at: '2 WorkdirRelativePath: Relative workdir "app" can have unexpected results if the base image changes',
    good: 'FROM a AS b\nWORKDIR /srv\nFROM b\nWORKDIR app\n',
  },
  UndefinedVar: {
    bad: 'FROM a\nENV MODEL_DIR=/m\nWORKDIR /srv/$MODLE_DIR\n',
    at: "3 UndefinedVar: Usage of undefined variable '$MODLE_DIR' (did you mean $MODEL_DIR?)",
    good: 'FROM a\nARG MODEL_DIR\nWORKDIR /srv/$MODEL_DIR\n',
  },
  MultipleInstructionsDisallowed: {
    bad: 'FROM a\nENTRYPOINT ["b"]\nRUN c\nENTRYPOINT ["d"]\n',
    at: '2 MultipleInstructionsDisallowed: Multiple ENTRYPOINT instructions should not be used in the same stage because only the last one will be used',
    good: 'FROM a AS b\nENTRYPOINT ["b"]\nFROM b\nENTRYPOINT ["d"]\n',
  },
  LegacyKeyValueFormat: {
    bad: 'FROM a\nENV MODEL resnet 50\n',
    at: '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
    good: 'FROM a\nENV MODEL="resnet 50"\n',
  },
  InvalidBaseImagePlatform: {
    bad: 'FROM a\n',
    at: '1 InvalidBaseImagePlatform: Base image a was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
    good: 'FROM scratch\n',
    resolver: foreign,
  },
  RedundantTargetPlatform: {
    bad: 'FROM --platform=$TARGETPLATFORM a\n',
    at: '1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
    good: 'FROM --platform=$BUILDPLATFORM a\n',
  },
  SecretsUsedInArgOrEnv: {
    bad: 'FROM a\nARG HF_TOKEN\n',
    at: '2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "HF_TOKEN")',
    good: 'FROM a\nARG HF_TOKEN_FILE\nARG TOKENIZER\n',
  },
  InvalidDefaultArgInFrom: {
    bad: 'ARG TAG\nFROM python:$TAG\n',
    at: '2 InvalidDefaultArgInFrom: Default value for ARG python:$TAG results in empty or invalid base image name',
    good: 'ARG TAG\nFROM python:${TAG:-3.11}\n',
    buildArgs: { TAG: '3.12' },
  },
  FromPlatformFlagConstDisallowed: {
    bad: 'FROM --platform=linux/amd64 a\n',
    at: '1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64"',
    good: 'FROM --platform=linux/amd64 a AS build_amd64\n',
  },
  CopyIgnoredFile: {
    bad: 'FROM a\nCOPY ./data/train.csv /data/\n',
    at: '2 CopyIgnoredFile: Attempting to Copy file "data/train.csv" that is excluded by .dockerignore',
    good: 'FROM a AS b\nCOPY model/ /model/\nFROM a\nCOPY --from=b /data /data\n',
    dockerignore: 'data\n',
  },
  InvalidDefinitionDescription: {
    bad: '# check=experimental=all\n# trains it\nFROM a AS train\n',
    at: '3 InvalidDefinitionDescription: Comment for FROM should follow the format: `# train <description>`',
    good: '# check=experimental=all\n# train fits the model\nFROM a AS train\n',
  },
  ExposeProtoCasing: {
    bad: 'FROM a\nEXPOSE 8000/TCP\n',
    at: "2 ExposeProtoCasing: Defined protocol '8000/TCP' in EXPOSE instruction should be lowercase",
    good: 'FROM a\nEXPOSE 8000/tcp\n',
  },
  ExposeInvalidFormat: {
    bad: 'FROM a\nEXPOSE 80:8000\n',
    at: "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '80:8000'",
    good: 'FROM a\nEXPOSE 8000\n',
  },
};

describe('the check', () => {
  test.each(Object.entries(EXAMPLES))('%s finds its fault, and nothing in the mended file', async (_, example) => {
    const { bad, at, good, ...options } = example;
    expect((await lint(bad, options)).found).toEqual([at]);
    expect(await lint(good, options)).toEqual({ found: [], warnings: [], error: undefined });
  });

  test.each(Object.keys(RULES).filter((name) => name !== 'InvalidDefinitionDescription'))(
    '%s is skipped for a file, and above a line',
    async (name) => {
      const { bad, ...options } = EXAMPLES[name as RuleName];
      expect((await lint(`# check=skip=${name}\n${bad}`, options)).found).toEqual([]);
      const lines = bad.split('\n');
      const above = lines.flatMap((line) =>
        /^\s|^$/.test(line) ? [line] : [`# check=skip=${name} // on purpose`, line],
      );
      expect((await lint(`\n${above.join('\n')}`, options)).found).toEqual([]);
    },
  );
});

describe('findings', () => {
  test('carry rule, place and page for machines', async () => {
    const { warnings } = await lint('FROM a\n\nEXPOSE \\\n  8000/TCP\n');
    expect(warnings).toEqual([
      {
        type: 'warning',
        rule: 'ExposeProtoCasing',
        message: "ExposeProtoCasing: Defined protocol '8000/TCP' in EXPOSE instruction should be lowercase",
        hint: 'https://docs.docker.com/go/dockerfile/rule/expose-proto-casing/',
        location: { file: 'Dockerfile', startLine: 3, endLine: 4 },
      },
    ]);
  });

  test('are told beside the error that ends the reading', async () => {
    const { found, error } = await lint('FROM a AS B\nBADCMD\n');
    expect(found).toEqual(["1 StageNameCasing: Stage name 'B' should be lowercase"]);
    expect(isEngineError(error, 'DOCKERFILE_INVALID')).toBe(true);
  });

  test('end the build with error=true, by the file or by the build argument that goes before it', async () => {
    const failed = await lint('# check=error=true\nFROM a AS B\n');
    expect(failed.error).toMatchObject({ code: 'DOCKERFILE_CHECK_FAILED', location: { startLine: 2 } });
    const text = '# check=skip=all\nFROM a AS B\n';
    expect((await lint(text)).error).toBeUndefined();
    const buildArgs = { BUILDKIT_DOCKERFILE_CHECK: 'error=true' };
    expect((await lint(text, { buildArgs })).error).toMatchObject({ code: 'DOCKERFILE_CHECK_FAILED' });
    const skip = { BUILDKIT_DOCKERFILE_CHECK: 'skip=all' };
    expect((await lint('# check=error=true\nFROM a AS B\n', { buildArgs: skip })).error).toBeUndefined();
  });

  test('of options that are none name the option and the line', async () => {
    const { error } = await lint('# syntax=docker/dockerfile:1\n# check=skipp=all\nFROM a\n');
    expect(error).toMatchObject({
      code: 'DOCKERFILE_INVALID',
      message: 'Cannot read Dockerfile line 2: there is no check option "skipp"',
    });
  });

  test('are said once for what a line says twice', async () => {
    expect((await lint('FROM a\nENV X=$no Y=$no\n')).found).toHaveLength(1);
  });
});

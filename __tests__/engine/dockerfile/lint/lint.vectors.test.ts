import { expect, test } from '@jest/globals';
import { DockerfileError, SyntaxMistake } from '../../../../engine/dockerfile/index.ts';
import { parseCheckOptions } from '../../../../engine/dockerfile/lint/options.ts';
import { RULES, urlOf, type LintRule } from '../../../../engine/dockerfile/lint/rules.ts';
import type { Resolver } from '../../../../engine/graph/index.ts';
import { parseReference } from '../../../../engine/image/reference.ts';
import { createResolver, PLATFORM } from '../../../helpers/graph.ts';
import { lint } from '../../../helpers/lint.ts';
import { describeVectors, readVectors } from '../../../helpers/vectors.ts';

interface Warning {
  readonly rule: string;
  readonly line: number;
  readonly detail: string;
}

/** Base images that set only PATH; python's also PYTHON_VERSION. */
const resolver: Resolver = {
  resolve: async (reference, platform) => {
    parseReference(reference);
    const more = reference.startsWith('python') ? ['PYTHON_VERSION=3.12'] : [];
    return await createResolver({ Env: ['PATH=/usr/bin', ...more] }).resolve(reference, platform);
  },
};

const linesOf = (warnings: readonly Warning[]): readonly string[] =>
  warnings.map(({ rule, line, detail }) => `${line} ${rule}: ${detail}`).sort();

describeVectors('lint', () => {
  interface Case {
    readonly name: string;
    readonly dockerfile: string;
    readonly dockerignore?: string;
    readonly build_args?: Readonly<Record<string, string>>;
    readonly warnings: readonly Warning[];
    readonly warnings_all_stages?: readonly Warning[];
    readonly error?: string;
    readonly error_line?: number;
    readonly build_error_pattern?: string;
    readonly base_image_platform?: string;
  }
  const { cases } = readVectors<{ cases: Case[] }>('lint/cases.json');

  test.each(cases)('$name', async (row) => {
    const foreign: Resolver = {
      resolve: (reference) => resolver.resolve(reference, { os: 'linux', architecture: 'arm64' }),
    };
    const options = {
      dockerignore: row.dockerignore,
      buildArgs: row.build_args,
      resolver: row.base_image_platform === undefined ? resolver : foreign,
    };
    const text = row.dockerfile.replaceAll('{image}', 'base');
    const wanted = linesOf(row.warnings).map((line) => line.replaceAll('{image}', 'base'));
    const built = await lint(text, options);
    expect(built.found).toEqual(wanted);
    if (row.error === undefined) expect(built.error).toBeUndefined();
    else expect(built.error).toMatchObject({ location: { startLine: row.error_line } });
    const all = await lint(text, { ...options, allStages: true });
    expect(all.found).toEqual(row.warnings_all_stages ? linesOf(row.warnings_all_stages) : wanted);
  });

  interface RuleCase {
    readonly rule: keyof typeof RULES;
    readonly description: string;
    readonly url: string;
    readonly experimental: boolean;
    readonly samples?: readonly {
      readonly dockerfile: string;
      readonly reference: readonly Warning[] | null;
      readonly reference_error?: string;
    }[];
  }
  const { cases: rules } = readVectors<{ cases: RuleCase[] }>('lint/rules.json');

  test('the rules are those of the table', () => {
    expect(Object.keys(RULES).sort()).toEqual(rules.map(({ rule }) => rule).sort());
  });

  test.each(rules)('$rule is described and found as in its samples', async ({ rule, description, url, ...row }) => {
    const known: LintRule = RULES[rule];
    expect([known.description, urlOf(known), known.isExperimental === true]).toEqual([
      description,
      url,
      row.experimental,
    ]);
    for (const { dockerfile, reference, reference_error } of row.samples ?? []) {
      // The reference has none where the sample needs files of a context.
      if (!reference) continue;
      const linted = await lint(dockerfile, { resolver, allStages: true, platform: PLATFORM });
      expect(linted.found).toEqual(linesOf(reference));
      if (reference_error === undefined) expect(linted.error).toBeUndefined();
      else expect(linted.error).toBeInstanceOf(DockerfileError);
    }
  });

  interface OptionCase {
    readonly input: string;
    readonly error?: string;
    readonly skip_all: boolean;
    readonly skip: readonly string[];
    readonly experimental_all: boolean;
    readonly experimental: readonly string[];
    readonly return_as_error: boolean;
  }
  const { cases: options } = readVectors<{ cases: OptionCase[] }>('lint/check-options.json');

  test.each(options)('check options: "$input"', ({ input, error, ...row }) => {
    if (error !== undefined) {
      expect(() => parseCheckOptions(input)).toThrow(SyntaxMistake);
      return;
    }
    const { skipAll, skip, experimentalAll, experimental, isError } = parseCheckOptions(input);
    expect({
      skip_all: skipAll,
      skip,
      experimental_all: experimentalAll,
      experimental,
      return_as_error: isError,
    }).toEqual(row);
  });
});

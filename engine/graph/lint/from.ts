import { isEngineError } from '../../base/errors.ts';
import { suggest } from '../../base/suggest.ts';
import { createExpander, SyntaxMistake, type Stage, type Stages } from '../../dockerfile/index.ts';
import { runsOn } from '../../image/choose.ts';
import { formatPlatform, parsePlatform } from '../../image/platform.ts';
import { parseReference } from '../../image/reference.ts';
import type { Platform } from '../../image/types.ts';
import type { GraphOptions } from '../options.ts';
import { globalScope } from '../scope.ts';

/** Names that FROM may use: global ARGs, also those without a value, and the platform's. */
export function namesInFrom({ globalArgs }: Stages, scope: ReadonlyMap<string, string>): ReadonlySet<string> {
  return new Set([...scope.keys(), ...globalArgs.flatMap(({ args }) => args.map(({ key }) => key))]);
}

/** Variables of FROM that no global ARG declares. */
export function lintFromNames(
  { ast }: Stages,
  stage: Stage,
  known: ReadonlySet<string>,
  unmatched: ReadonlySet<string>,
): void {
  for (const name of unmatched) {
    if (known.has(name)) continue;
    const near = suggest(name, known);
    ast.findings.report('UndefinedArgInFrom', stage, name, ...(near === undefined ? [] : [near]));
  }
}

/** `--platform` that says what holds anyway, or that only one machine can build. */
export function lintPlatform(
  { ast }: Stages,
  stage: Stage & { readonly platform: string },
  scope: ReadonlyMap<string, string>,
): void {
  const expander = createExpander(ast.directives.escape);
  const { text, matched, unmatched } = expander.words(stage.platform, (name) => scope.get(name));
  if (matched.size === 0 && unmatched.size === 0) {
    lintConstant({ ast }, stage, text);
    return;
  }
  const isTarget = matched.size === 1 && matched.has('TARGETPLATFORM') && unmatched.size === 0;
  if (isTarget && text === scope.get('TARGETPLATFORM')) {
    ast.findings.report('RedundantTargetPlatform', stage, stage.platform);
  }
}

/** A base without an index is taken as it is, also when its programs cannot run here. */
export function lintBase(
  { ast }: Stages,
  stage: Stage,
  { name, actual, expected }: { readonly name: string; readonly actual: Platform; readonly expected: Platform },
): void {
  if (runsOn(actual, expected)) return;
  ast.findings.report('InvalidBaseImagePlatform', stage, name, formatPlatform(actual), formatPlatform(expected));
}

/** Base names that are none when only the defaults of the global ARGs are given. */
export function lintDefaults(source: Stages, options: GraphOptions): void {
  const scope = globalScope(source, { ...options, buildArgs: {} });
  const expander = createExpander(source.ast.directives.escape);
  for (const stage of source.stages) {
    // A name without variables has no defaults that could be wrong; what it is itself is said where it is used.
    if (!stage.base.includes('$')) continue;
    const name = attempt(() => expander.word(stage.base, (key) => scope.get(key)));
    if (name !== undefined && !isReference(name))
      source.ast.findings.report('InvalidDefaultArgInFrom', stage, stage.base);
  }
}

/** A stage that names its system or architecture means it. */
function lintConstant({ ast }: Pick<Stages, 'ast'>, stage: Stage, text: string): void {
  const platform = attempt(() => parsePlatform(text));
  if (!platform || namesPlatform(stage.name, platform)) return;
  ast.findings.report('FromPlatformFlagConstDisallowed', stage, text);
}

function namesPlatform(name: string, { os, architecture }: Platform): boolean {
  return name.includes(os) || name.includes(architecture);
}

/** Whether an image may be called so. */
export function isReference(name: string): boolean {
  return attempt(() => parseReference(name)) !== undefined;
}

/** What is wrong fails later, with a better error. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (isEngineError(error) || error instanceof SyntaxMistake) return undefined;
    throw error;
  }
}

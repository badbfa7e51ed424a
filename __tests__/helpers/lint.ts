import type { WarningEvent } from '../../engine/base/progress.ts';
import { readGraph } from '../../engine/build-graph.ts';
import { createHiddenSources } from '../../engine/context/hidden.ts';
import { readIgnoreLines } from '../../engine/context/ignorefile.ts';
import { compilePatterns } from '../../engine/context/pattern/ignore.ts';
import type { GraphOptions, Resolver } from '../../engine/graph/index.ts';
import { createResolver, PLATFORM } from './graph.ts';

/** What a check of a Dockerfile came to. */
export interface Linted {
  /** `line rule: detail`, sorted. */
  readonly found: readonly string[];
  readonly warnings: readonly WarningEvent[];
  readonly error?: unknown;
}

/** How a Dockerfile is checked. */
export interface LintOptions extends Partial<GraphOptions> {
  /** Text of the ignore file. */
  readonly dockerignore?: string | undefined;
  readonly resolver?: Resolver | undefined;
}

/** Checks a Dockerfile as a build does, up to its graph. */
export async function lint(text: string, options: LintOptions = {}): Promise<Linted> {
  const { dockerignore, resolver = createResolver(), ...graph } = options;
  const warnings: WarningEvent[] = [];
  const isIgnored = dockerignore === undefined ? undefined : hiddenBy(dockerignore);
  const error = await readGraph(
    { text, file: 'Dockerfile' },
    {
      resolver,
      graph: { platform: PLATFORM, isIgnored, ...graph },
      onEvent: (event) => void (event.type === 'warning' && warnings.push(event)),
    },
  ).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const ofRules = warnings.filter(({ rule }) => rule !== undefined);
  return { warnings, error, found: ofRules.map(({ message, location }) => `${location?.startLine} ${message}`).sort() };
}

function hiddenBy(text: string): ((path: string) => boolean) | undefined {
  const compiled = compilePatterns(readIgnoreLines(text));
  if ('bad' in compiled) throw new Error(`bad pattern ${compiled.bad}`);
  return createHiddenSources(compiled.patterns);
}

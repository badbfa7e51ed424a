import type { OnEvent } from './base/progress.ts';
import { checkOptionsOf, foreignFrontend, refuseFindings, shownFindings, warningOf } from './build-check.ts';
import type { DockerfileSource } from './build-file.ts';
import { parse, parseStages, type Ast, type CheckOptions, type Stages } from './dockerfile/index.ts';
import { resolveBases, toGraph, type Graph, type GraphOptions, type Resolver } from './graph/index.ts';

/** What a Dockerfile becomes. */
export interface ReadGraph {
  readonly stages: Stages;
  readonly graph: Graph;
}

/** What {@link readGraph} takes beside the file. */
export interface ReadGraphOptions {
  readonly resolver: Resolver;
  readonly graph: GraphOptions;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/**
 * Steps 2 to 5 of DESIGN.md 2: text to graph. What the checks find is told in any case, also beside an error.
 *
 * @throws DockerfileError naming the line; the resolver's errors
 */
export async function readGraph(source: DockerfileSource, options: ReadGraphOptions): Promise<ReadGraph> {
  const { graph: graphOptions, onEvent, signal } = options;
  const ast = parse(source.text, { file: source.file });
  const check = checkOptionsOf(ast, graphOptions.buildArgs);
  const foreign = foreignFrontend(ast);
  if (foreign) onEvent?.(foreign);
  const { stages, graph } = await telling(ast, check, onEvent, async () => {
    const stages = parseStages(ast);
    const bases = await resolveBases(stages, options.resolver, { ...graphOptions, signal });
    return { stages, graph: toGraph(bases, graphOptions) };
  });
  refuseFindings(ast, check, shownFindings(ast, check));
  for (const warning of graph.warnings) onEvent?.(warning);
  return { stages, graph };
}

async function telling<T>(
  ast: Ast,
  check: CheckOptions,
  onEvent: OnEvent | undefined,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } finally {
    for (const finding of shownFindings(ast, check)) onEvent?.(warningOf(ast, finding));
  }
}

import type { ActOptions } from './base/progress.ts';
import { checkOptionsOf, foreignFrontend, refuseFindings, shownFindings } from './build-check.ts';
import { readDockerfile, type DockerfileSource } from './build-file.ts';
import type { LocalRequest } from './build-inputs.ts';
import { readHiddenSources } from './context/index.ts';
import { excerpt, parse, parseStages, ruleOf, urlOf, type Ast, type DockerfileWarning } from './dockerfile/index.ts';
import type { CheckReport, CheckWarning, TargetList } from './engine.ts';
import { checkDraft } from './image/assemble.ts';
import { outlineOf, resolveBases, toGraph, type GraphOptions, type Outline, type Resolver } from './graph/index.ts';

/** How a Dockerfile is read when it is not built. */
export interface DescribeOptions extends ActOptions {
  readonly resolver: Resolver;
  readonly graph: GraphOptions;
}

const AROUND = 2;

/**
 * `docker build --check`: what the checks find in every stage, or in those that `target` needs. An error that a build would end with is
 * part of the report. That another frontend was asked for is a warning beside it, as in a build.
 *
 * @throws the errors of a file that cannot be read at all
 */
export async function checkDockerfile(request: LocalRequest, options: DescribeOptions): Promise<CheckReport> {
  const source = await readDockerfile(request);
  const ast = parse(source.text, { file: source.file });
  const check = checkOptionsOf(ast, request.buildArgs);
  const foreign = foreignFrontend(ast);
  if (foreign) options.onEvent?.(foreign);
  const allStages = request.target === undefined || request.target === '';
  const isIgnored = await readHiddenSources(request.context, {
    dockerfile: source.path,
    ignoreFile: request.ignoreFile,
  });
  const error = await errorOf(async () => {
    const graph = { ...options.graph, isIgnored, allStages, allowHostNetwork: true };
    const bases = await resolveBases(parseStages(ast), options.resolver, { ...graph, signal: options.signal });
    const { image } = toGraph(bases, graph);
    refuseFindings(ast, check, shownFindings(ast, check));
    checkDraft(image);
  });
  options.signal?.throwIfAborted();
  const warnings = shownFindings(ast, check).map((finding) => warningOf(ast, finding));
  return { file: ast.file, text: ast.text, warnings, error };
}

/** `docker build --call=outline`: what the target takes. @throws DockerfileError naming the line */
export async function outlineDockerfile(
  request: LocalRequest,
  { resolver, graph, signal }: DescribeOptions,
): Promise<Outline & { readonly text: string }> {
  const { ast, stages } = parseSource(await readDockerfile(request));
  const options = { ...graph, allowHostNetwork: true };
  return { ...outlineOf(await resolveBases(stages, resolver, { ...options, signal }), options), text: ast.text };
}

/** `docker build --call=targets`: the stages. @throws DockerfileError naming the line */
export async function listTargets(request: LocalRequest): Promise<TargetList> {
  const { ast, stages } = parseSource(await readDockerfile(request));
  const last = stages.stages.length - 1;
  return {
    text: ast.text,
    targets: stages.stages.map(({ name, doc, base, platform, index, startLine, endLine }) => ({
      name,
      description: doc,
      base,
      platform,
      isDefault: index === last,
      startLine,
      endLine,
    })),
  };
}

function parseSource({ text, file }: DockerfileSource): {
  readonly ast: Ast;
  readonly stages: ReturnType<typeof parseStages>;
} {
  const ast = parse(text, { file });
  return { ast, stages: parseStages(ast) };
}

function warningOf({ text }: Ast, { rule, message, startLine, endLine }: DockerfileWarning): CheckWarning {
  const known = ruleOf(rule) ?? { description: '', message: '' };
  return {
    rule,
    description: known.description,
    url: urlOf(known),
    detail: message,
    startLine,
    endLine,
    excerpt: excerpt(text, { startLine, endLine }, AROUND),
  };
}

async function errorOf(act: () => Promise<void>): Promise<unknown> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return error;
  }
}

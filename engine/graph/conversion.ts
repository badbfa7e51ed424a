import type { SourceLocation } from '../base/errors.ts';
import { createExpander, excerpt, type Instruction, type Place, type Stages } from '../dockerfile/index.ts';
import { lookupOf } from './env.ts';
import { lintVariables } from './lint/variables.ts';
import type { GraphOptions } from './options.ts';
import { proxyEnv } from './proxy.ts';
import { globalScope } from './scope.ts';
import type { StageState } from './state.ts';
import { createVertices, type Vertices } from './vertices.ts';

/** What all stages of one conversion share. */
export interface Conversion {
  readonly source: Stages;
  readonly options: GraphOptions;
  /** The user's `--build-arg`s. */
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly proxyEnv: readonly string[];
  /** Arguments before the first FROM, and those of the platform; a stage takes them by name. */
  readonly scope: ReadonlyMap<string, string>;
  readonly vertices: Vertices;
  /** Stages that are converted, by index. */
  readonly states: Map<number, StageState>;
  /** The instruction that is converted: where the checks find what they find in its words. */
  current: Instruction | undefined;
  /** Expands a word with the variables of a stage. */
  expand(state: StageState, word: string): string;
  /** Expands a here-document: quotes in it are text. */
  expandDocument(state: StageState, text: string): string;
}

/** A {@link Conversion} of a file that has no stage converted yet. */
export function createConversion(source: Stages, options: GraphOptions): Conversion {
  const expander = createExpander(source.ast.directives.escape);
  const documents = createExpander('\\', { skipQuotes: true });
  const buildArgs = options.buildArgs ?? {};
  const conversion: Conversion = {
    source,
    options,
    buildArgs,
    proxyEnv: proxyEnv(buildArgs),
    scope: globalScope(source, options),
    vertices: createVertices(),
    states: new Map(),
    current: undefined,
    expand: (state, word) => {
      const { text, unmatched } = expander.words(word, lookupOf(state.env));
      if (conversion.current) lintVariables(source.ast.findings, conversion.current, state, unmatched);
      return text;
    },
    expandDocument: (state, text) => documents.word(text, lookupOf(state.env)),
  };
  return conversion;
}

/** The state of a stage that stands above; stages come in file order, so it is there. */
export function stateOf({ states }: Conversion, index: number): StageState {
  const state = states.get(index);
  if (!state) throw new Error(`stage ${index} is used before it is converted`);
  return state;
}

/** Where an instruction stands, with the lines around it. */
export function locationOf({ source: { ast } }: Conversion, { startLine, endLine }: Place): SourceLocation {
  return { file: ast.file, startLine, endLine, excerpt: excerpt(ast.text, { startLine, endLine }) };
}

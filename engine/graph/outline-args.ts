import { createExpander, type Range, type Stages } from '../dockerfile/index.ts';
import { stateOf, type Conversion } from './conversion.ts';
import type { GraphOptions } from './options.ts';
import type { ResolvedStage, ResolvedStages } from './resolve.ts';
import { globalScope } from './scope.ts';

/** A build argument. */
export interface OutlineArg extends Range {
  readonly name: string;
  readonly description: string;
  /** What holds without more: the default, or what was given. */
  readonly value: string;
}

/** The arguments that a stage knows by name, and those of them that are of use in it. */
interface Known {
  readonly all: ReadonlyMap<string, OutlineArg>;
  readonly used: ReadonlySet<string>;
}

/** The arguments before the first FROM, and the names in the default of each. */
interface Globals {
  readonly all: ReadonlyMap<string, OutlineArg>;
  readonly needs: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * The arguments of use in the stages, those of the last stage first: what a stage declares, what its FROM names, and what these are made of.
 * One that a stage takes from before the first FROM is shown as it stands there; a platform's, which stands nowhere, is not shown.
 */
export function argsOf(conversion: Conversion, { stages }: ResolvedStages, options: GraphOptions): OutlineArg[] {
  const globals = globalsOf(conversion.source, options);
  const known = new Map<number, Known>();
  for (const resolved of stages) known.set(resolved.stage.index, knownIn(resolved, { conversion, globals, known }));
  return [...known.values()].reverse().flatMap(({ all, used }) => [...used].flatMap((name) => all.get(name) ?? []));
}

function knownIn(
  { stage, base }: ResolvedStage,
  at: { readonly conversion: Conversion; readonly globals: Globals; readonly known: ReadonlyMap<number, Known> },
): Known {
  const { conversion, globals } = at;
  const below = base.type === 'stage' ? at.known.get(base.index) : undefined;
  const all = new Map(below?.all ?? globals.all);
  const used = new Set([...(below?.used ?? []), ...namesIn(`${stage.base} ${stage.platform ?? ''}`, conversion)]);
  const { args } = stateOf(conversion, stage.index);
  for (const instruction of stage.instructions) {
    if (instruction.kind !== 'arg') continue;
    for (const { key, value, doc } of instruction.args) {
      used.add(key);
      const isTaken = value === undefined && !Object.hasOwn(conversion.buildArgs, key) && conversion.scope.has(key);
      if (isTaken) continue;
      const held = args.findLast((arg) => arg.key === key)?.value ?? '';
      all.set(key, { name: key, description: doc, value: held, ...rangeOf(instruction) });
    }
  }
  return { all, used: withNeeds(used, all, globals) };
}

/** With the names that a value from before the first FROM is made of; what a stage has set itself is made of nothing here. */
function withNeeds(used: ReadonlySet<string>, all: Known['all'], globals: Globals): ReadonlySet<string> {
  const found = new Set<string>();
  const add = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    if (all.get(name) === globals.all.get(name)) globals.needs.get(name)?.forEach(add);
  };
  used.forEach(add);
  return found;
}

function globalsOf(source: Stages, options: GraphOptions): Globals {
  const scope = globalScope(source, options);
  const all = new Map<string, OutlineArg>();
  const needs = new Map<string, ReadonlySet<string>>();
  for (const instruction of source.globalArgs) {
    for (const { key, value, doc } of instruction.args) {
      const isGiven = Object.hasOwn(options.buildArgs ?? {}, key);
      const names = new Set(value === undefined || isGiven ? [] : namesIn(value, { source, scope }));
      // `ARG A=$A-more` is made of what the older one was made of.
      if (names.delete(key)) needs.get(key)?.forEach((name) => names.add(name));
      needs.set(key, names);
      all.set(key, { name: key, description: doc, value: scope.get(key) ?? '', ...rangeOf(instruction) });
    }
  }
  return { all, needs };
}

/** Names of the variables that a word before the first FROM, or of a FROM, is expanded with. */
function namesIn(word: string, { source, scope }: Pick<Conversion, 'source' | 'scope'>): readonly string[] {
  const names: string[] = [];
  createExpander(source.ast.directives.escape).word(word, (name) => {
    if (scope.has(name)) names.push(name);
    return scope.get(name);
  });
  return names;
}

function rangeOf({ startLine, endLine }: Range): Range {
  return { startLine, endLine };
}

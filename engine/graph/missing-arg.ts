import { suggest } from '../base/suggest.ts';
import type { Stages } from '../dockerfile/index.ts';

/** Why a variable of FROM has no value, and what to type. */
export interface MissingArg {
  readonly state: string;
  readonly hint: string;
}

/** What is to be said of a variable of FROM without value: it may be declared without one, given an empty one, or stand too low. */
export function missingArg(source: Stages, name: string, scope: ReadonlyMap<string, string>): MissingArg {
  const give = `Pass --build-arg ${name}=VALUE, or give it a default above the first FROM: ARG ${name}=VALUE`;
  const isDeclared = source.globalArgs.some(({ args }) => args.some(({ key }) => key === name));
  if (isDeclared) {
    const state = scope.get(name) === undefined ? 'has no value' : 'is empty';
    return { state: `ARG ${name} ${state}`, hint: give };
  }
  if (scope.has(name)) return { state: `${name} is empty for this platform`, hint: `Leave ${name} out` };
  const line = lineInStage(source, name);
  if (line !== undefined) {
    const state = `ARG ${name} on line ${line} belongs to its stage, and FROM sees only those above the first FROM`;
    return { state, hint: `Write ARG ${name}=VALUE above the first FROM` };
  }
  const near = suggest(name, scope.keys());
  const hint = near === undefined ? `Write ARG ${name}=VALUE above the first FROM` : `Did you mean $${near}?`;
  return { state: `no ARG ${name} stands above the first FROM`, hint };
}

/** Both as one sentence, for a message that says something else. */
export function sentenceOf({ state, hint }: MissingArg): string {
  return `${state.slice(0, 1).toUpperCase()}${state.slice(1)}. ${hint}`;
}

function lineInStage({ stages }: Stages, name: string): number | undefined {
  const all = stages.flatMap(({ instructions }) => instructions);
  return all.find((one) => one.kind === 'arg' && one.args.some(({ key }) => key === name))?.startLine;
}

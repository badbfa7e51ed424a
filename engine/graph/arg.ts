import type { ArgInstruction, ArgPair } from '../dockerfile/index.ts';
import { withVariable } from './env.ts';
import { remember, type Builder, type StageState } from './state.ts';

/** Sees values of the global scope; a stage takes them by name. */
export type GlobalScope = ReadonlyMap<string, string>;

/**
 * ARG: the user's value, else the default, else the global one. It is in the environment of what follows and in no image.
 *
 * @throws SyntaxMistake
 */
export function applyArg(
  state: StageState,
  { args }: ArgInstruction,
  builder: Builder,
  scope: GlobalScope,
): StageState {
  let next = state;
  const shown: string[] = [];
  for (const arg of args) {
    const value = valueOf(next, arg, builder, scope);
    const env = value === undefined ? next.env : withVariable(next.env, arg.key, value);
    next = { ...next, env, args: [...next.args, { ...arg, value }] };
    shown.push(value === undefined ? arg.key : `${arg.key}=${value}`);
  }
  return remember(next, `ARG ${shown.join(' ')}`);
}

function valueOf(state: StageState, arg: ArgPair, builder: Builder, scope: GlobalScope): string | undefined {
  if (Object.hasOwn(builder.buildArgs, arg.key)) return builder.buildArgs[arg.key];
  return arg.value === undefined ? scope.get(arg.key) : builder.expand(state, arg.value);
}

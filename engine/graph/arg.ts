import type { ArgInstruction, ArgPair } from '../dockerfile/index.ts';
import { withVariable } from './env.ts';
import type { Conversion } from './conversion.ts';
import { remember, type StageState } from './state.ts';

/**
 * ARG: the user's value, else the default, else the global one. It is in the environment of what follows and in no image.
 *
 * @throws SyntaxMistake
 */
export function applyArg(conversion: Conversion, state: StageState, { args }: ArgInstruction): StageState {
  let next = state;
  const shown: string[] = [];
  for (const arg of args) {
    const value = valueOf(conversion, next, arg);
    const env = value === undefined ? next.env : withVariable(next.env, arg.key, value);
    next = { ...next, env, args: [...next.args, { ...arg, value }] };
    shown.push(value === undefined ? arg.key : `${arg.key}=${value}`);
  }
  return remember(next, `ARG ${shown.join(' ')}`);
}

function valueOf(conversion: Conversion, state: StageState, arg: ArgPair): string | undefined {
  const { buildArgs, scope } = conversion;
  if (Object.hasOwn(buildArgs, arg.key)) return buildArgs[arg.key];
  return arg.value === undefined ? scope.get(arg.key) : conversion.expand(state, arg.value);
}

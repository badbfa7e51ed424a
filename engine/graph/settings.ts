import {
  createExpander,
  SyntaxMistake,
  type ExposeInstruction,
  type HealthcheckInstruction,
  type Instruction,
  type KeyValue,
} from '../dockerfile/index.ts';
import type { ContainerConfig, Healthcheck } from '../image/types.ts';
import type { Conversion } from './conversion.ts';
import { lookupOf, withEntry, withVariable } from './env.ts';
import { duration, plainList, quotedList } from './goformat.ts';
import { checkOwner } from './owner.ts';
import { exposedPorts } from './ports.ts';
import { withShell } from './shell.ts';
import { checkSignal } from './signal.ts';
import { configure, remember, type StageState } from './state.ts';

/** An instruction that makes no vertex: it changes the configuration alone. */
export type Setting = Exclude<Instruction, { readonly kind: 'add' | 'arg' | 'copy' | 'run' | 'workdir' }>;

/**
 * Applies a metadata instruction. History texts are those of BuildKit.
 *
 * @throws SyntaxMistake
 */
export function applySetting(conversion: Conversion, state: StageState, setting: Setting): StageState {
  const expand = (word: string): string => conversion.expand(state, word);
  switch (setting.kind) {
    case 'env':
      return applyEnv(state, expandPairs(setting.env, expand));
    case 'label':
      return applyLabels(state, expandPairs(setting.labels, expand));
    case 'cmd': {
      const Cmd = setting.shellForm ? withShell(state.config, setting.command) : setting.command;
      return { ...configure(state, `CMD ${quotedList(Cmd)}`, { Cmd, ArgsEscaped: true }), hasCmd: true };
    }
    case 'entrypoint': {
      const Entrypoint = setting.shellForm ? withShell(state.config, setting.command) : setting.command;
      return withoutInheritedCmd(configure(state, `ENTRYPOINT ${quotedList(Entrypoint)}`, { Entrypoint }));
    }
    case 'expose':
      return applyExpose(conversion, state, setting);
    case 'healthcheck':
      return applyHealthcheck(state, setting);
    case 'maintainer':
      return remember(state, `MAINTAINER ${setting.maintainer}`, { author: setting.maintainer });
    case 'onbuild':
      return { ...state, config: { ...state.config, OnBuild: [...(state.config.OnBuild ?? []), setting.expression] } };
    case 'shell':
      return configure(state, `SHELL ${plainList(setting.shell)}`, { Shell: setting.shell });
    case 'stopsignal': {
      const StopSignal = checkSignal(expand(setting.signal));
      return configure(state, `STOPSIGNAL ${StopSignal}`, { StopSignal });
    }
    case 'user': {
      const User = checkOwner('USER', expand(setting.user));
      return configure(state, `USER ${User}`, { User });
    }
    case 'volume':
      return applyVolumes(state, setting.volumes.map(expand));
  }
}

function expandPairs(
  pairs: readonly KeyValue[],
  expand: (word: string) => string,
): readonly (readonly [string, string])[] {
  return pairs.map(({ key, value }) => [expand(key), expand(value)]);
}

function applyEnv(state: StageState, pairs: readonly (readonly [string, string])[]): StageState {
  let { env } = state;
  let Env = state.config.Env ?? [];
  for (const [name, value] of pairs) {
    if (name === '' || name.includes('='))
      throw new SyntaxMistake('blank-name', `ENV cannot set a variable named "${name}"`, 'Write ENV NAME=value');
    env = withVariable(env, name, value);
    Env = withEntry(Env, name, value);
  }
  return { ...configure(state, `ENV ${shown(pairs)}`, { Env }), env };
}

function applyLabels(state: StageState, pairs: readonly (readonly [string, string])[]): StageState {
  const Labels = Object.fromEntries([...Object.entries(state.config.Labels ?? {}), ...pairs]);
  return configure(state, `LABEL ${shown(pairs)}`, { Labels });
}

function shown(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([key, value]) => `${key}=${value}`).join(' ');
}

/** ENTRYPOINT resets a CMD that came from the base. */
function withoutInheritedCmd(state: StageState): StageState {
  if (state.hasCmd) return state;
  const { Cmd: _, ...config } = state.config;
  return { ...state, config };
}

function applyExpose({ source }: Conversion, state: StageState, { ports }: ExposeInstruction): StageState {
  const expander = createExpander(source.ast.directives.escape);
  const words = ports.flatMap((port) => expander.words(port, lookupOf(state.env)).words);
  const exposed = words.flatMap(exposedPorts);
  return remember(state, `EXPOSE ${plainList(exposed)}`, { ports: [...state.ports, exposed] });
}

function applyVolumes(state: StageState, volumes: readonly string[]): StageState {
  if (volumes.includes('')) throw new SyntaxMistake('blank-name', 'VOLUME takes no empty path');
  return configure(state, `VOLUME ${plainList(volumes)}`, { Volumes: withKeys(state.config.Volumes, volumes) });
}

/** A Go `map[string]struct{}` with more keys. */
export function withKeys(
  before: ContainerConfig['Volumes'],
  keys: readonly string[],
): Record<string, Record<string, never>> {
  return { ...before, ...Object.fromEntries(keys.map((key) => [key, {}])) };
}

function applyHealthcheck(state: StageState, { health }: HealthcheckInstruction): StageState {
  const { test, interval, timeout, startPeriod, startInterval, retries } = health;
  const Healthcheck: Healthcheck = {
    Test: test,
    ...(interval === undefined ? {} : { Interval: interval }),
    ...(timeout === undefined ? {} : { Timeout: timeout }),
    ...(startPeriod === undefined ? {} : { StartPeriod: startPeriod }),
    ...(startInterval === undefined ? {} : { StartInterval: startInterval }),
    ...(retries === undefined ? {} : { Retries: retries }),
  };
  const times = [
    `Interval:${duration(interval ?? 0)}`,
    `Timeout:${duration(timeout ?? 0)}`,
    `StartPeriod:${duration(startPeriod ?? 0)}`,
    `StartInterval:${duration(startInterval ?? 0)}`,
  ];
  const createdBy = `HEALTHCHECK {Test:${plainList(test)} ${times.join(' ')} Retries:${retries ?? 0}}`;
  return configure(state, createdBy, { Healthcheck });
}

import { splitEntry, type Stage } from '../dockerfile/index.ts';
import { formatPlatform } from '../image/platform.ts';
import type { ContainerConfig } from '../image/types.ts';
import { inheritedConfig } from './config.ts';
import { locationOf, stateOf, type Conversion } from './conversion.ts';
import { withVariable, type Env } from './env.ts';
import { stepPrefix } from './name.ts';
import { workdirAfter } from './path.ts';
import type { ResolvedStage } from './resolve.ts';
import { isStep, type StageState } from './state.ts';
import { addVertex } from './step.ts';

/** What BuildKit gives an image from scratch beside PATH. */
const EMPTY: ContainerConfig = { WorkingDir: '/' };

/** A stage before its first instruction: on nothing, on an image, or where an earlier stage ended. */
export function openStage(conversion: Conversion, resolved: ResolvedStage): StageState {
  const { stage, base } = resolved;
  if (base.type === 'stage') return inherit(stateOf(conversion, base.index), freshOf(conversion, resolved));
  const config = inheritedConfig(base.type === 'image' ? base.config.config : EMPTY);
  const state: StageState = {
    ...freshOf(conversion, resolved),
    vertex: '',
    env: withConfig(new Map(), config),
    args: [],
    workdir: workdirAfter('/', config.WorkingDir ?? '/'),
    isAnchored: false,
    config,
    base: base.type === 'image' ? base.config : undefined,
    history: [],
    historySize: 0,
    ports: [],
  };
  if (base.type === 'scratch' || base.type === 'files') {
    const place = { name: 'FROM scratch', inputs: [], place: stage };
    const empty = addVertex(conversion, state, { type: 'scratch' }, place);
    return base.type === 'scratch' ? empty : addFiles(conversion, { ...empty, step: 1 }, stage, base.name);
  }
  return addImage(conversion, { ...state, step: 1 }, { ...resolved, base });
}

type Fresh = Pick<
  StageState,
  'stage' | 'label' | 'platform' | 'shownPlatform' | 'sources' | 'hasCmd' | 'step' | 'steps'
>;

/** What no stage inherits. */
function freshOf({ source, options }: Conversion, { stage, base, platform, sources }: ResolvedStage): Fresh {
  const label = source.stages.length === 1 ? '' : stage.name || `stage-${stage.index}`;
  const steps = stage.instructions.filter(isStep).length + (base.type === 'image' || base.type === 'files' ? 1 : 0);
  const shownPlatform = options.showPlatform === true ? formatPlatform(platform) : '';
  return { stage, label, platform, shownPlatform, sources, hasCmd: false, step: 0, steps };
}

/** A stage on a stage goes on with its variables, ARGs and history. */
function inherit(below: StageState, fresh: Fresh): StageState {
  const config = inheritedConfig(below.config);
  return { ...below, ...fresh, config, env: withConfig(below.env, config) };
}

/** A named context as root file system. */
function addFiles(conversion: Conversion, state: StageState, stage: Stage, name: string): StageState {
  const from = { type: 'named', name } as const;
  const place = { dest: '/', destIsDirectory: true, location: locationOf(conversion, stage) };
  const copy = { action: 'copy', from, sources: ['.'], unpack: false, ...place } as const;
  const shown = `${stepPrefix(state)}FROM context ${name}`;
  const made = addVertex(
    conversion,
    state,
    { type: 'file', actions: [copy] },
    { name: shown, inputs: [state.vertex], place: stage },
  );
  return { ...made, history: [{ createdBy: `FROM context ${name}`, vertex: made.vertex }] };
}

type OnImage = ResolvedStage & { readonly base: Extract<ResolvedStage['base'], { readonly type: 'image' }> };

function addImage(conversion: Conversion, state: StageState, { stage, base, platform }: OnImage): StageState {
  const { reference, manifest, config } = base;
  const pinned = reference.includes('@') ? reference : `${reference}@${manifest.digest}`;
  const name = `${stepPrefix(state)}FROM ${pinned}`;
  return addVertex(
    conversion,
    state,
    { type: 'image', reference, manifest, config, platform },
    { name, inputs: [], place: stage },
  );
}

function withConfig(env: Env, { Env: list = [] }: { readonly Env?: readonly string[] }): Env {
  return list.map(splitEntry).reduce<Env>((before, [name, value]) => withVariable(before, name, value), env);
}

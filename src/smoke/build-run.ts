import type { Limits, Mount } from '../../engine/index.ts';
import type { BuildContext } from './build-context.ts';
import type { Path } from './place.ts';
import type { Preset } from './presets.ts';
import type { RawSpec } from './raw.ts';
import type { RunSection } from './spec.ts';
import { findSource } from './workspace.ts';

type RawRun = NonNullable<RawSpec['run']>;

/** `run:` — how the container is started; problems go to the context. */
export function buildRun(run: RawRun | undefined, preset: Preset, context: BuildContext): RunSection {
  const borrowed = borrow(run?.['env-from'] ?? [], context);
  checkPlatform(run?.platform, context);
  return {
    env: {
      ...preset.run?.env,
      ...borrowed,
      ...Object.fromEntries(Object.entries(run?.env ?? {}).map(([name, value]) => [name, String(value)])),
    },
    secrets: Object.values(borrowed).flatMap(linesOf),
    args: run?.args ?? preset.run?.args,
    user: userOf(run?.user),
    readOnly: run?.readOnly ?? false,
    network: run?.network ?? 'none',
    limits: limitsOf(run?.resources, context),
    mounts: (run?.mounts ?? []).flatMap((mount, index) => toMount(mount, ['run', 'mounts', index], context)),
  };
}

/** Variables of the step, such as tokens: their values are masked wherever the test would show them. */
function borrow(names: readonly string[], context: BuildContext): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.flatMap((name, index) => {
      const value = context.lookup(name);
      if (value !== undefined && value !== '') return [[name, value]];
      const place = context.place(['run', 'env-from', index]);
      const message = `there is no variable ${name} to take over`;
      context.problems.push({ message, hint: `Set ${name} where the test is started: \`env:\` of the step`, place });
      return [];
    }),
  );
}

/** Shorter pieces are in every text. */
const SHORTEST_SECRET = 4;

/** A secret as a whole and each line of it, as a log shows it. */
export function linesOf(value: string): readonly string[] {
  return [value, ...value.split(/\r?\n/)].filter((line) => line.trim().length >= SHORTEST_SECRET);
}

/** `random` is what OpenShift does: an unknown user in the root group. The number lies in the range that every id map has. */
function userOf(user: string | number | undefined): string | undefined {
  if (user === undefined || user === 'image') return undefined;
  return user === 'random' ? `${10_000 + Math.floor(Math.random() * 50_000)}:0` : String(user);
}

function checkPlatform(platform: string | undefined, context: BuildContext): void {
  const own = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;
  if (platform === undefined || platform === own || platform === `${own}/v8`) return;
  const message = `this machine cannot run ${platform}: it is ${own}`;
  context.problems.push({
    message,
    hint: 'Test it on a runner of that kind',
    place: context.place(['run', 'platform']),
  });
}

const FACTORS: Readonly<Record<string, number>> = {
  '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40,
}; // prettier-ignore

/** Kubernetes' quantities: `2Gi`, `500m`. */
function limitsOf(resources: RawRun['resources'], context: BuildContext): Limits | undefined {
  if (resources === undefined) return undefined;
  const read = (key: 'cpus' | 'memory', units: Readonly<Record<string, number>>): number | undefined => {
    const text = resources[key];
    if (text === undefined) return undefined;
    const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(String(text)) ?? [];
    const factor = units[unit];
    if (number !== '' && factor !== undefined && Number(number) > 0) return Number(number) * factor;
    const wanted = key === 'cpus' ? 'such as 2 or 500m' : 'such as 2Gi';
    const place = context.place(['run', 'resources', key]);
    context.problems.push({
      message: `\`run.resources.${key}\` is ${JSON.stringify(text)}: wanted a quantity ${wanted}`,
      place,
    });
    return undefined;
  };
  const memory = read('memory', FACTORS);
  const cpus = read('cpus', { '': 1, m: 1e-3 });
  return { memory: memory === undefined ? undefined : Math.floor(memory), cpus };
}

function toMount(
  { source, target, readOnly = false }: NonNullable<RawRun['mounts']>[number],
  at: Path,
  context: BuildContext,
): readonly Mount[] {
  const found = context.attempt(at, () => findSource(source, context.files.folders), undefined);
  return found === undefined ? [] : [{ type: 'bind', source: found, target, readonly: readOnly }];
}

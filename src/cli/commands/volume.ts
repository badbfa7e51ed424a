import { isEngineError, type VolumeSummary } from '../../../engine/index.ts';
import { confirm } from '../confirm.ts';
import { defineCommand } from '../command.ts';
import { type Filter, hasLabel, isTrue, matchesAll, parseFilter, pattern } from '../filter.ts';
import { list, orNothing, text, toggle } from '../flags.ts';
import { printObjects } from '../print-objects.ts';
import { type Column, printList } from '../print-list.ts';
import { reportError } from '../report-error.ts';
import { tellPrune } from '../tell-prune.ts';
import { type Fields, labelOf } from '../template/index.ts';
import { totalSize } from '../units.ts';
import { OperandsError } from '../usage-error.ts';
import { parseLabel } from '../values/label.ts';
import { each } from './each.ts';

const COLUMNS: readonly Column[] = [
  ['DRIVER', 'Driver'],
  ['VOLUME NAME', 'Name'],
];

const FILTERS = {
  name: ({ name }: VolumeSummary, value: string) => pattern(value).test(name),
  label: ({ labels }: VolumeSummary, value: string) => hasLabel(labels, value),
  driver: (_volume: VolumeSummary, value: string) => value === 'local',
  dangling: ({ users }: VolumeSummary, value: string) => (users.length === 0) === isTrue(value),
} as const;

/** `berth volume ls`. */
export const listVolumes = defineCommand({
  name: 'ls',
  docs: 'List volumes',
  operands: '',
  flags: {
    filter: list('-f, --filter NAME=VALUE', 'name=, label=, dangling=, driver=', (word) => parseFilter(word, FILTERS)),
    format: text('--format FORMAT', 'json, table, or a template such as {{.Name}}'),
    quiet: toggle('-q, --quiet', 'show names only'),
  },
  refused: ['cluster'],
  run: async (context, { filter, format, quiet }) => {
    const { volumes } = await context.engine();
    const found = (await volumes.list()).filter((volume) => matchesAll(volume, filter, FILTERS));
    if (quiet && format === undefined) for (const { name } of found) context.stdout.write(`${name}\n`);
    else printList(context, found.map(rowOf), { columns: COLUMNS, format });
    return 0;
  },
});

/** `berth volume create`. */
export const createVolume = defineCommand({
  name: 'create',
  docs: 'Make a volume',
  operands: '[VOLUME]',
  flags: {
    driver: text('-d, --driver DRIVER', 'local is the one there is'),
    label: list('--label NAME=VALUE', 'set a label', parseLabel),
    name: orNothing(text('--name NAME', 'older form of the operand')),
    option: list(
      '-o, --opt NAME=VALUE',
      'type=, device= and o= of a bind or a tmpfs, which are not filled from images',
      parseLabel,
    ),
  },
  refused: [
    'availability',
    'group',
    'limit-bytes',
    'required-bytes',
    'scope',
    'secret',
    'sharing',
    'topology-preferred',
    'topology-required',
    'type',
  ],
  run: async (context, { driver = 'local', label, name, option }, [operand]) => {
    if (driver !== 'local') {
      throw new OperandsError(
        `Cannot use volume driver "${driver}": there are no plugins`,
        'leave it out: local is the one there is',
      );
    }
    if (name !== undefined && operand !== undefined) {
      throw new OperandsError(
        'Cannot name a volume twice: conflicting options: cannot specify a volume-name through both --name and as a positional arg',
      );
    }
    const { volumes } = await context.engine();
    const volume = await volumes.create({
      // An empty name is none: it gets one of its own.
      name: operand || name,
      labels: Object.fromEntries(label),
      options: Object.fromEntries(option),
    });
    context.stdout.write(`${volume.name}\n`);
    return 0;
  },
});

/** `berth volume inspect`. */
export const inspectVolume = defineCommand({
  name: 'inspect',
  docs: 'Show everything about volumes',
  operands: 'VOLUME [VOLUME...]',
  flags: { format: orNothing(text('-f, --format FORMAT', 'json, or a template such as {{.Mountpoint}}')) },
  run: async (context, { format }, names) => {
    const { volumes } = await context.engine();
    return await printObjects(context, names, {
      format,
      find: async (name) => inspectedVolume(await volumes.resolve(name)),
    });
  },
});

/** `berth volume rm`. */
export const removeVolume = defineCommand({
  name: 'rm',
  docs: 'Remove volumes that no container uses',
  operands: 'VOLUME [VOLUME...]',
  flags: { force: toggle('-f, --force', 'it is no fault when there is no such volume') },
  run: async (context, { force }, names) => {
    const { volumes } = await context.engine();
    return await each(context, names, async (name) => {
      try {
        await volumes.remove(name);
      } catch (error) {
        if (!force || !isEngineError(error, 'VOLUME_NOT_FOUND')) throw error;
      }
      return name;
    });
  },
});

const PRUNE_FILTERS = {
  label: FILTERS.label,
  all: () => true,
} as const;

/** `berth volume prune`. */
export const pruneVolumes = defineCommand({
  name: 'prune',
  docs: 'Remove the anonymous volumes that no container uses',
  operands: '',
  flags: {
    all: toggle('-a, --all', 'named volumes too'),
    filter: list('--filter NAME=VALUE', 'label=, all=', (word) => parseFilter(word, PRUNE_FILTERS)),
    force: toggle('-f, --force', 'do not ask'),
  },
  run: async (context, { all, filter, force }) => {
    const every = all || filter.some(({ name, value }) => name === 'all' && isTrue(value));
    const what = `all ${every ? '' : 'anonymous '}local volumes not used by at least one container`;
    if (!force && !(await confirm(context, `WARNING! This will remove ${what}.`))) return 0;
    const engine = await context.engine();
    const labels: readonly Filter[] = filter.filter(({ name }) => name === 'label');
    const {
      removed,
      bytes,
      faults = [],
    } = await engine.volumes.prune({
      all: every,
      keep: (volume) => !matchesAll(volume, labels, PRUNE_FILTERS),
    });
    await tellPrune(engine, 'volume', bytes);
    if (removed.length > 0) context.stdout.write(`Deleted Volumes:\n${removed.map((name) => `${name}\n`).join('')}\n`);
    context.stdout.write(`Total reclaimed space: ${totalSize(bytes)}\n`);
    for (const fault of faults) reportError(fault, context.stderr);
    return faults.length > 0 ? 1 : 0;
  },
});

/** Fields of a volume for a list. */
export function rowOf(volume: VolumeSummary): Fields {
  return {
    Driver: 'local',
    Name: volume.name,
    Label: labelOf(volume.labels),
    Labels: Object.entries(volume.labels)
      .map(([name, value]) => `${name}=${value}`)
      .sort()
      .join(','),
    Links: String(volume.users.length),
    Mountpoint: volume.mountpoint,
    Scope: 'local',
    // Of volumes of a swarm.
    Availability: 'N/A',
    Group: 'N/A',
    Status: 'N/A',
    Size: volume.bytes === undefined ? 'N/A' : totalSize(volume.bytes),
  };
}

/** A volume as `inspect` shows it. */
export function inspectedVolume({
  name,
  createdAt,
  labels,
  anonymous,
  mountpoint,
  options,
}: VolumeSummary): Record<string, unknown> {
  return {
    CreatedAt: createdAt,
    Driver: 'local',
    Labels: anonymous
      ? { 'com.docker.volume.anonymous': '', ...labels }
      : Object.keys(labels).length > 0
        ? labels
        : null,
    Mountpoint: mountpoint,
    Name: name,
    Options: options && Object.keys(options).length > 0 ? options : null,
    Scope: 'local',
  };
}

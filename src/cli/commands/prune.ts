import {
  type ContainerSummary,
  type Engine,
  isEngineError,
  isNamed,
  type NetworkSummary,
  type VolumeSummary,
} from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import type { Context } from '../context.ts';
import { type Filter, hasLabel, isTrue, matchesAll, parseFilter } from '../filter.ts';
import { list, single, toggle } from '../flags.ts';
import { withRenderer } from '../progress/index.ts';
import { reportError } from '../report-error.ts';
import { tellPrune } from '../tell-prune.ts';
import { totalSize } from '../units.ts';
import { OperandsError } from '../usage-error.ts';
import { parseSize } from '../values/size.ts';
import { parseMoment } from '../values/time.ts';

type StoredImage = Awaited<ReturnType<Engine['images']['list']>>[number];

/** `until` keeps what was made later. */
const older = (createdAt: string | undefined, value: string): boolean =>
  Date.parse(createdAt ?? '') < parseMoment(value, Date.now());

const CONTAINER_FILTERS = {
  label: ({ labels }: ContainerSummary, value: string) => hasLabel(labels, value),
  until: ({ createdAt }: ContainerSummary, value: string) => older(createdAt, value),
} as const;

const PLAIN_IMAGE_FILTERS = {
  label: ({ config }: StoredImage, value: string) => hasLabel(config.config?.Labels ?? {}, value),
  until: ({ config }: StoredImage, value: string) => older(config.created, value),
} as const;

const NETWORK_FILTERS = {
  label: ({ labels }: NetworkSummary, value: string) => hasLabel(labels, value),
  until: ({ created }: NetworkSummary, value: string) => older(created, value),
} as const;

const VOLUME_FILTERS = {
  label: ({ labels }: VolumeSummary, value: string) => hasLabel(labels, value),
} as const;

const IMAGE_FILTERS = {
  ...PLAIN_IMAGE_FILTERS,
  dangling: (image: StoredImage, value: string) => !isNamed(image) === isTrue(value),
} as const;

/** Milliseconds since 1970. */
function parseCacheFilter(word: string): number {
  const { value } = parseFilter(word, { until: true, 'unused-for': true });
  return parseMoment(value, Date.now());
}

const FORCE = toggle('-f, --force', 'do not ask');

/** `berth container prune`. */
export const pruneContainers = defineCommand({
  name: 'prune',
  docs: 'Remove all containers that do not run',
  operands: '',
  flags: {
    filter: list('--filter NAME=VALUE', 'until=, label=', (word) => parseFilter(word, CONTAINER_FILTERS)),
    force: FORCE,
  },
  run: async (context, { filter, force }) => {
    if (!force && !(await confirm(context, 'WARNING! This will remove all stopped containers.'))) return 0;
    const engine = await context.engine();
    const before = await bytesOf(engine, 'containers');
    const exitCode = await removeStopped(context, engine, filter);
    const bytes = before - (await bytesOf(engine, 'containers'));
    await tellPrune(engine, 'container', bytes);
    total(context, bytes);
    return exitCode;
  },
});

/** `berth image prune`. */
export const pruneImages = defineCommand({
  name: 'prune',
  docs: 'Remove images that have no name, or with -a all that no container uses',
  operands: '',
  flags: {
    all: toggle('-a, --all', 'all images that no container uses'),
    filter: list('--filter NAME=VALUE', 'until=, label=, dangling=', (word) => parseFilter(word, IMAGE_FILTERS)),
    force: FORCE,
  },
  run: async (context, { all: isAll, filter, force }) => {
    const every = isAll || filter.some(({ name, value }) => name === 'dangling' && !isTrue(value));
    const what = every ? 'all images without at least one container associated to them' : 'all dangling images';
    if (!force && !(await confirm(context, `WARNING! This will remove ${what}.`))) return 0;
    const engine = await context.engine();
    const used = new Set((await engine.containers.list({ all: true })).map(({ imageId }) => imageId));
    const asked = filter.filter(({ name }) => name !== 'dangling');
    const all = await engine.images.list();
    // An image for several platforms stays as a whole, or goes as a whole.
    const usedParts = new Set(all.filter(({ id }) => used.has(id)).flatMap(digestsOf));
    const wanted = all.filter((image) => {
      const partOf = digestsOf(image);
      const isUsed = used.has(image.id) || partOf.some((digest) => usedParts.has(digest));
      const isAsked = every || (!isNamed(image) && partOf.length === 0);
      return isAsked && !isUsed && matchesAll(image, asked, IMAGE_FILTERS);
    });
    const gone = new Set<string>();
    const names = new Set(wanted.flatMap((image) => [...digestsOf(image), image.id]));
    const exitCode = await removeEach(context, 'Deleted Images:', [...names], async (one) => {
      if (gone.has(one)) return [];
      const said = await engine.images.remove(one, { force: true });
      for (const line of said) gone.add(line.replace(/^Deleted: /, ''));
      return said;
    });
    // Every image that the filters left stays.
    const { bytes } = await withRenderer('auto', context, async (onEvent) =>
      engine.system.prune({ keep: () => true, onEvent, signal: context.signal }),
    );
    await tellPrune(engine, 'image', bytes);
    total(context, bytes);
    return exitCode;
  },
});

/** Of the images for several platforms that it is part of. */
function digestsOf({ partOf = [] }: StoredImage): readonly string[] {
  return partOf.map(({ descriptor }) => descriptor.digest);
}

/** `berth builder prune`. */
export const pruneBuilds = defineCommand({
  name: 'prune',
  docs: 'Remove the build cache',
  operands: '',
  flags: {
    all: toggle('-a, --all', 'also what RUN --mount=type=cache keeps; sizes count it then'),
    filter: list('--filter NAME=VALUE', 'until=, unused-for=: since when no build has used it', parseCacheFilter),
    force: FORCE,
    reserved: single('--reserved-space SIZE', 'so much may stay', parseSize),
    keep: single('--keep-storage SIZE', 'older name of --reserved-space', parseSize),
    maxUsed: single('--max-used-space SIZE', 'the most that stays', parseSize),
    minFree: single('--min-free-space SIZE', 'remove until so much of the disk is free', parseSize),
    verbose: toggle('--verbose', 'name what is removed'),
  },
  run: async (context, { all, filter, force, keep, reserved = keep, maxUsed, minFree, verbose }) => {
    const until = filter.length === 0 ? undefined : Math.min(...filter);
    const isPart = [until, reserved, maxUsed, minFree].some((value) => value !== undefined);
    const what = isPart ? 'the build cache that was asked for' : `all ${all ? '' : 'dangling '}build cache`;
    if (!force && !(await confirm(context, `WARNING! This will remove ${what}.`))) return 0;
    const engine = await context.engine();
    const { bytes, removed } = await withRenderer('auto', context, async (onEvent) =>
      engine.system.prune({
        cache: isPart ? { until, reserved, maxUsed, minFree } : true,
        mounts: all,
        keep: () => true,
        onEvent,
        signal: context.signal,
      }),
    );
    if (verbose) for (const id of removed) context.stdout.write(`ID:\t${id}\n`);
    context.stdout.write(`Total:\t${totalSize(bytes)}\n`);
    return 0;
  },
});

/** `berth system prune`. */
export const pruneSystem = defineCommand({
  name: 'prune',
  docs: 'Remove containers that do not run, and what nothing uses',
  operands: '',
  flags: {
    all: toggle('-a, --all', 'also images that no container uses, and the build cache'),
    filter: list('--filter NAME=VALUE', 'until=, label=', (word) => parseFilter(word, CONTAINER_FILTERS)),
    force: FORCE,
    volumes: toggle('--volumes', 'also anonymous volumes that no container uses'),
  },
  run: async (context, { all, filter, force, volumes }) => {
    if (volumes && filter.some(({ name }) => name === 'until')) {
      throw new OperandsError(
        'Cannot prune volumes by their age: The "until" filter is not supported with "--volumes"',
        'berth volume prune, and berth system prune without --volumes',
      );
    }
    if (!force && !(await confirm(context, warningOf({ all, volumes })))) return 0;
    const engine = await context.engine();
    const before = await bytesOf(engine, 'containers');
    let exitCode = await removeStopped(context, engine, filter);
    const written = before - (await bytesOf(engine, 'containers'));
    const networks = await engine.networks.prune({ keep: (one) => !matchesAll(one, filter, NETWORK_FILTERS) });
    section(context, 'Deleted Networks:', networks);
    const pruned = volumes
      ? await engine.volumes.prune({ keep: (one) => !matchesAll(one, filter, VOLUME_FILTERS) })
      : { removed: [], bytes: 0 };
    section(context, 'Deleted Volumes:', pruned.removed);
    for (const fault of pruned.faults ?? []) {
      reportError(fault, context.stderr);
      exitCode = 1;
    }
    const keep = (image: StoredImage): boolean => !matchesAll(image, filter, PLAIN_IMAGE_FILTERS);
    const cache = all && cacheOf(filter);
    const rest = await withRenderer('auto', context, async (onEvent) =>
      engine.system.prune({ all, cache, keep, unreadable: filter.length === 0, onEvent, signal: context.signal }),
    );
    await tellPrune(engine, 'container', written);
    await tellPrune(engine, 'network', 0);
    if (volumes) await tellPrune(engine, 'volume', pruned.bytes);
    await tellPrune(engine, 'image', rest.bytes);
    section(context, 'Deleted Objects:', rest.removed);
    total(context, Math.max(0, written) + pruned.bytes + rest.bytes);
    return exitCode;
  },
});

/** Steps have an age and no labels: none is there for a label, and all are for one that is to be missing. */
export function cacheOf(filter: readonly Filter[]): boolean | { readonly until: number } {
  if (filter.some(({ name, negated = false }) => name === 'label' && !negated)) return false;
  const times = filter.filter(({ name }) => name === 'until').map(({ value }) => parseMoment(value, Date.now()));
  return times.length === 0 ? true : { until: Math.max(...times) };
}

function warningOf({ all, volumes }: { readonly all: boolean; readonly volumes: boolean }): string {
  const lines = [
    'all stopped containers',
    'all networks not used by at least one container',
    ...(volumes ? ['all anonymous volumes not used by at least one container'] : []),
    all ? 'all images without at least one container associated to them' : 'all dangling images',
    all ? 'all build cache' : 'unused build cache',
  ];
  return `WARNING! This will remove:\n${lines.map((line) => `  - ${line}\n`).join('')}`;
}

async function removeStopped(context: Context, engine: Engine, filter: readonly Filter[]): Promise<number> {
  const stopped = (await engine.containers.list({ all: true })).filter(
    (container) =>
      ['created', 'exited', 'dead'].includes(container.status) && matchesAll(container, filter, CONTAINER_FILTERS),
  );
  const ids = stopped.map(({ id }) => id);
  return await removeEach(context, 'Deleted Containers:', ids, async (id) => {
    await engine.containers.remove(id);
    return [id];
  });
}

/** Somebody was quicker: it is in use by now, or gone. */
const OVERTAKEN: readonly string[] = [
  'CONTAINER_RUNNING',
  'CONTAINER_PAUSED',
  'CONTAINER_NOT_FOUND',
  'IMAGE_IN_USE',
  'IMAGE_NOT_FOUND',
];

/**
 * Removes one after the other, and prints what went, also when not all did. One that cannot be removed does not keep the others from their
 * turn.
 *
 * @returns the exit code
 */
export async function removeEach(
  context: Pick<Context, 'stdout' | 'stderr' | 'signal'>,
  title: string,
  names: readonly string[],
  remove: (name: string) => Promise<readonly string[]>,
): Promise<number> {
  const lines: string[] = [];
  let exitCode = 0;
  try {
    for (const name of names) {
      try {
        lines.push(...(await remove(name)));
      } catch (error) {
        if (!isEngineError(error) || context.signal.aborted) throw error;
        if (OVERTAKEN.includes(error.code)) continue;
        reportError(error, context.stderr);
        exitCode = 1;
      }
    }
  } finally {
    section(context, title, lines);
  }
  return exitCode;
}

async function bytesOf(engine: Engine, wanted: 'containers'): Promise<number> {
  return (await engine.system.df()).find(({ kind }) => kind === wanted)?.bytes ?? 0;
}

function section({ stdout }: Pick<Context, 'stdout'>, title: string, lines: readonly string[]): void {
  if (lines.length > 0) stdout.write(`${title}\n${lines.map((line) => `${line}\n`).join('')}\n`);
}

function total({ stdout }: Context, bytes: number): void {
  stdout.write(`Total reclaimed space: ${totalSize(Math.max(0, bytes))}\n`);
}

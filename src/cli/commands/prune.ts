import type { ContainerSummary, Engine } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import type { Context } from '../context.ts';
import { type Filter, hasLabel, matchesAll, parseFilter } from '../filter.ts';
import { list, single, toggle } from '../flags.ts';
import { withRenderer } from '../progress/index.ts';
import { humanSize } from '../units.ts';
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

const IMAGE_FILTERS = {
  label: ({ config }: StoredImage, value: string) => hasLabel(config.config?.Labels ?? {}, value),
  until: ({ config }: StoredImage, value: string) => older(config.created, value),
  dangling: ({ names }: StoredImage, value: string) => (names.length === 0) === (value === 'true' || value === '1'),
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
    const removed = await removeStopped(engine, filter);
    report(context, 'Deleted Containers:', removed, before - (await bytesOf(engine, 'containers')));
    return 0;
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
    const every = isAll || filter.some(({ name, value }) => name === 'dangling' && /^(false|0)$/.test(value));
    const what = every ? 'all images without at least one container associated to them' : 'all dangling images';
    if (!force && !(await confirm(context, `WARNING! This will remove ${what}.`))) return 0;
    const engine = await context.engine();
    const before = await bytesOf(engine, 'images');
    const used = new Set((await engine.containers.list({ all: true })).map(({ imageId }) => imageId));
    const asked = filter.filter(({ name }) => name !== 'dangling');
    const lines: string[] = [];
    const all = await engine.images.list();
    // An image for several platforms stays as a whole, or goes as a whole.
    const usedParts = new Set(all.filter(({ id }) => used.has(id)).flatMap(digestsOf));
    const gone = new Set<string>();
    for (const image of all) {
      const { names } = image;
      const partOf = digestsOf(image);
      const isUsed = used.has(image.id) || partOf.some((digest) => usedParts.has(digest));
      const wanted = (every || (names.length === 0 && partOf.length === 0)) && !isUsed && !gone.has(image.id);
      if (!wanted || !matchesAll(image, asked, IMAGE_FILTERS)) continue;
      for (const one of [...partOf, image.id]) {
        if (gone.has(one)) continue;
        const said = await engine.images.remove(one, { force: true });
        for (const line of said) gone.add(line.replace(/^Deleted: /, ''));
        lines.push(...said);
      }
    }
    await withRenderer('auto', context, async (onEvent) => engine.system.prune({ onEvent, signal: context.signal }));
    report(context, 'Deleted Images:', lines, before - (await bytesOf(engine, 'images')));
    return 0;
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
    all: toggle('-a, --all', 'the same: all of the cache goes'),
    filter: list('--filter NAME=VALUE', 'until=', parseCacheFilter),
    force: FORCE,
    reserved: single('--reserved-space SIZE', 'so much may stay', parseSize),
    keep: single('--keep-storage SIZE', 'older name of --reserved-space', parseSize),
    maxUsed: single('--max-used-space SIZE', 'the most that stays', parseSize),
    minFree: single('--min-free-space SIZE', 'remove until so much of the disk is free', parseSize),
    verbose: toggle('--verbose', 'name what is removed'),
  },
  run: async (context, { filter, force, keep, reserved = keep, maxUsed, minFree, verbose }) => {
    const until = filter.length === 0 ? undefined : Math.min(...filter);
    const isPart = [until, reserved, maxUsed, minFree].some((value) => value !== undefined);
    const what = isPart ? 'the build cache that was asked for' : 'all build cache';
    if (!force && !(await confirm(context, `WARNING! This will remove ${what}.`))) return 0;
    const engine = await context.engine();
    const { bytes, removed } = await withRenderer('auto', context, async (onEvent) =>
      engine.system.prune({
        cache: isPart ? { until, reserved, maxUsed, minFree } : true,
        onEvent,
        signal: context.signal,
      }),
    );
    if (verbose) for (const id of removed) context.stdout.write(`ID:\t${id}\n`);
    context.stdout.write(`Total:\t${humanSize(bytes)}\n`);
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
    filter: list('--filter NAME=VALUE', 'until=, label= of containers', (word) => parseFilter(word, CONTAINER_FILTERS)),
    force: FORCE,
    volumes: toggle('--volumes', 'also anonymous volumes that no container uses'),
  },
  run: async (context, { all, filter, force, volumes }) => {
    if (!force && !(await confirm(context, warningOf({ all, volumes })))) return 0;
    const engine = await context.engine();
    const before = await bytesOf(engine, 'containers');
    const removed = await removeStopped(engine, filter);
    let reclaimed = before - (await bytesOf(engine, 'containers'));
    const networks = await engine.networks.prune();
    const pruned = volumes ? await engine.volumes.prune() : { removed: [], bytes: 0 };
    const rest = await withRenderer('auto', context, async (onEvent) =>
      engine.system.prune({ all, onEvent, signal: context.signal }),
    );
    reclaimed += pruned.bytes + rest.bytes;
    section(context, 'Deleted Containers:', removed);
    section(context, 'Deleted Networks:', networks);
    section(context, 'Deleted Volumes:', pruned.removed);
    report(context, 'Deleted Objects:', rest.removed, reclaimed);
    return 0;
  },
});

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

async function removeStopped(engine: Engine, filter: readonly Filter[]): Promise<readonly string[]> {
  const stopped = (await engine.containers.list({ all: true })).filter(
    (container) =>
      ['created', 'exited', 'dead'].includes(container.status) && matchesAll(container, filter, CONTAINER_FILTERS),
  );
  for (const { id } of stopped) await engine.containers.remove(id);
  return stopped.map(({ id }) => id);
}

async function bytesOf(engine: Engine, wanted: 'containers' | 'images'): Promise<number> {
  return (await engine.system.df()).find(({ kind }) => kind === wanted)?.bytes ?? 0;
}

function section({ stdout }: Context, title: string, lines: readonly string[]): void {
  if (lines.length > 0) stdout.write(`${title}\n${lines.map((line) => `${line}\n`).join('')}\n`);
}

function report(context: Context, title: string, lines: readonly string[], bytes: number): void {
  section(context, title, lines);
  context.stdout.write(`Total reclaimed space: ${humanSize(Math.max(0, bytes))}\n`);
}

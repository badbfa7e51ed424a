import type { Engine } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { text, toggle } from '../flags.ts';
import { type Column, printList } from '../print-list.ts';
import { type Fields, renderTemplate } from '../template/index.ts';
import { goTime, humanDuration, humanSize, totalSize } from '../units.ts';
import { rowsOf as imageRows } from './images.ts';
import { rowOf as containerRow } from './ps.ts';
import { rowOf as volumeRow } from './volume.ts';

const COLUMNS: readonly Column[] = [
  ['TYPE', 'Type'],
  ['TOTAL', 'TotalCount'],
  ['ACTIVE', 'Active'],
  ['SIZE', 'Size'],
  ['RECLAIMABLE', 'Reclaimable'],
];
const KINDS = { images: 'Images', containers: 'Containers', volumes: 'Local Volumes', cache: 'Build Cache' } as const;

/** `berth system df`. */
export const df = defineCommand({
  name: 'df',
  docs: 'Show disk usage',
  operands: '',
  flags: {
    format: text('--format FORMAT', 'json, table, or a template'),
    verbose: toggle('-v, --verbose', 'one by one'),
  },
  run: async (context, { format, verbose }) => {
    const engine = await context.engine();
    if (verbose) await printEach(context, engine, format);
    else printList(context, await totals(engine), { columns: COLUMNS, format });
    return 0;
  },
});

async function totals(engine: Engine): Promise<readonly Fields[]> {
  const usage = await engine.system.df();
  return usage.map(({ kind, total, active, bytes, reclaimable }) => ({
    Type: KINDS[kind],
    TotalCount: String(total),
    Active: String(active),
    Size: totalSize(bytes),
    Reclaimable:
      bytes === 0 ? totalSize(reclaimable) : `${totalSize(reclaimable)} (${Math.round((reclaimable / bytes) * 100)}%)`,
  }));
}

/** Docker's four lists; as one object for `json` and templates. */
async function printEach(context: Context, engine: Engine, format: string | undefined): Promise<void> {
  const lists = await listsOf(engine, format === undefined);
  if (format !== undefined) {
    const { images, containers, volumes, cache } = lists;
    const all = { Images: images, Containers: containers, Volumes: volumes, BuildCache: cache };
    context.stdout.write(`${renderTemplate(format, all)}\n`);
    return;
  }
  const sections: readonly (readonly [string, readonly Fields[], readonly Column[]])[] = [
    ['Images space usage:', lists.images, IMAGE_COLUMNS],
    ['Containers space usage:', lists.containers, CONTAINER_COLUMNS],
    ['Local Volumes space usage:', lists.volumes, VOLUME_COLUMNS],
    [`Build cache usage: ${totalSize(lists.cacheBytes)}`, lists.cache, CACHE_COLUMNS],
  ];
  for (const [index, [title, rows, columns]] of sections.entries()) {
    context.stdout.write(`${index === 0 ? '' : '\n'}${title}\n\n`);
    printList(context, rows, { columns });
  }
}

const IMAGE_COLUMNS: readonly Column[] = [
  ['REPOSITORY', 'Repository'],
  ['TAG', 'Tag'],
  ['IMAGE ID', 'ID'],
  ['CREATED', 'CreatedSince'],
  ['SIZE', 'Size'],
  ['SHARED SIZE', 'SharedSize'],
  ['UNIQUE SIZE', 'UniqueSize'],
  ['CONTAINERS', 'Containers'],
];
const CONTAINER_COLUMNS: readonly Column[] = [
  ['CONTAINER ID', 'ID'],
  ['IMAGE', 'Image'],
  ['COMMAND', 'Command'],
  ['LOCAL VOLUMES', 'LocalVolumes'],
  ['SIZE', 'Size'],
  ['CREATED', 'RunningFor'],
  ['STATUS', 'Status'],
  ['NAMES', 'Names'],
];
const VOLUME_COLUMNS: readonly Column[] = [
  ['VOLUME NAME', 'Name'],
  ['LINKS', 'Links'],
  ['SIZE', 'Size'],
];
const CACHE_COLUMNS: readonly Column[] = [
  ['CACHE ID', 'ID'],
  ['CACHE TYPE', 'CacheType'],
  ['SIZE', 'Size'],
  ['CREATED', 'CreatedSince'],
  ['LAST USED', 'LastUsedSince'],
  ['SHARED', 'Shared'],
];

interface Lists {
  readonly images: readonly Fields[];
  readonly containers: readonly Fields[];
  readonly volumes: readonly Fields[];
  readonly cache: readonly Fields[];
  readonly cacheBytes: number;
}

async function listsOf(engine: Engine, short: boolean): Promise<Lists> {
  const [images, containers, written, volumes, usage, totals] = await Promise.all([
    engine.images.list(),
    engine.containers.list({ all: true }),
    engine.containers.sizes(),
    engine.volumes.list({ measure: true }),
    engine.system.usage(),
    engine.system.df(),
  ]);
  const ofImages = new Map(usage.images.map((image) => [image.id, image]));
  return {
    images: images.flatMap((image) => {
      const { shared = 0, unique = image.size } = ofImages.get(image.id) ?? {};
      const users = containers.filter(({ imageId }) => imageId === image.id).length;
      const more = { SharedSize: totalSize(shared), UniqueSize: totalSize(unique), Containers: String(users) };
      return imageRows(image, !short).map((row) => ({ ...row, ...more }));
    }),
    containers: containers.map((container) => ({
      ...containerRow(container, !short),
      Size: humanSize(written.get(container.id) ?? 0),
    })),
    volumes: volumes.map(volumeRow),
    cache: usage.cache.map(({ id, type, bytes, createdAt, usedAt, shared }) => ({
      ID: short ? id.slice(0, 12) : id,
      CacheType: type,
      Size: totalSize(bytes),
      CreatedAt: createdAt === undefined ? '' : goTime(createdAt, { fraction: true }),
      CreatedSince: createdAt === undefined ? '' : ago(createdAt),
      LastUsedAt: usedAt === undefined ? '' : goTime(usedAt, { fraction: true }),
      LastUsedSince: usedAt === undefined ? '' : ago(usedAt),
      Shared: String(shared),
    })),
    cacheBytes: totals.find(({ kind }) => kind === 'cache')?.bytes ?? 0,
  };
}

function ago(time: string): string {
  return `${humanDuration(Date.now() - Date.parse(time))} ago`;
}

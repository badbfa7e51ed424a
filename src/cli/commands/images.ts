import { isNamed, matchesPattern, parseReference, type Engine } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { type Filter, hasLabel, isTrue, matchesAll, parseFilter } from '../filter.ts';
import { list, text, toggle } from '../flags.ts';
import { PLATFORM, requirePlatform } from '../of-platform.ts';
import { type Column, printList } from '../print-list.ts';
import type { Fields } from '../template/index.ts';
import { goTime, humanDuration, humanSize } from '../units.ts';
import { parseMoment } from '../values/time.ts';
import { each } from './each.ts';

type Image = Awaited<ReturnType<Engine['images']['list']>>[number];

const COLUMNS: readonly Column[] = [
  ['REPOSITORY', 'Repository'],
  ['TAG', 'Tag'],
  ['IMAGE ID', 'ID'],
  ['CREATED', 'CreatedSince'],
  ['SIZE', 'Size'],
];
const WITH_DIGESTS: readonly Column[] = [...COLUMNS.slice(0, 2), ['DIGEST', 'Digest'], ...COLUMNS.slice(2)];

const FILTERS = {
  dangling: (image: Image, value: string) => (!isNamed(image) && image.partOf === undefined) === isTrue(value),
  label: ({ config }: Image, value: string) => hasLabel(config.config?.Labels ?? {}, value),
  reference: ({ names }: Image, value: string) => names.some((name) => matchesPattern(parseReference(name), value)),
  until: ({ config }: Image, value: string) => Date.parse(config.created ?? '') < parseMoment(value, Date.now()),
  before: () => true,
  since: () => true,
} as const;

/** A name against the one that is asked for: `*` and `?` stop at a slash; without a tag, any tag. */
function isLike(name: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  const last = pattern.slice(pattern.lastIndexOf('/') + 1);
  return new RegExp(`^${source}${last.includes(':') ? '' : '(:[^/]*)?'}$`).test(name);
}

/** `before` and `since` name an image, and keep what was made on that side of it. */
async function createdBetween(engine: Engine, filters: readonly Filter[]): Promise<(image: Image) => boolean> {
  const timeOf = ({ config }: Image): number => Date.parse(config.created ?? '');
  const times = async (wanted: string): Promise<readonly number[]> =>
    await Promise.all(
      filters
        .filter(({ name }) => name === wanted)
        .map(async ({ value }) => timeOf(await engine.images.resolve(value))),
    );
  const [before, since] = await Promise.all([times('before'), times('since')]);
  return (image) => before.every((time) => timeOf(image) < time) && since.every((time) => timeOf(image) > time);
}

/** `berth images`. */
export const images = defineCommand({
  name: 'images',
  docs: 'List images',
  operands: '[REPOSITORY[:TAG]]',
  flags: {
    all: toggle('-a, --all', 'also the images for other platforms of an image for several'),
    filter: list('-f, --filter NAME=VALUE', `${Object.keys(FILTERS).join('=, ')}=`, (word) =>
      parseFilter(word, FILTERS),
    ),
    digests: toggle('--digests', 'show manifest digests'),
    format: text('--format FORMAT', 'json, table, or a template such as {{.Repository}}:{{.Tag}}'),
    noTrunc: toggle('--no-trunc', 'do not cut ids'),
    quiet: toggle('-q, --quiet', 'show ids only'),
  },
  refused: ['tree'],
  run: async (context, { all: showAll, digests, filter, format, noTrunc, quiet }, [wanted]) => {
    const engine = await context.engine();
    const all = await engine.images.list();
    const between = await createdBetween(engine, filter);
    const rows = [...all]
      .sort(newestFirst)
      .filter((image) => (showAll || !isOther(image)) && between(image) && matchesAll(image, filter, FILTERS))
      .flatMap((image) => rowsOf(image, noTrunc))
      .filter((row) => wanted === undefined || isWanted(row, wanted));
    if (quiet && format === undefined) {
      for (const id of new Set(rows.map(({ ID }) => String(ID)))) context.stdout.write(`${id}\n`);
    } else printList(context, rows, { columns: digests ? WITH_DIGESTS : COLUMNS, format });
    return 0;
  },
});

/** `berth rmi`. */
export const rmi = defineCommand({
  name: 'rmi',
  docs: 'Remove images',
  operands: 'IMAGE [IMAGE...]',
  flags: {
    force: toggle('-f, --force', 'remove all names of an id as well'),
    noPrune: toggle('--no-prune', 'the same: no image has parents of its own here'),
    platform: PLATFORM,
  },
  run: async (context, { force, platform }, names) => {
    const engine = await context.engine();
    return await each(
      context,
      names,
      async (name) => {
        await requirePlatform(engine, name, platform);
        return (await engine.images.remove(name, { force })).join('\n');
      },
      force ? { forgive: 'IMAGE_NOT_FOUND' } : {},
    );
  },
});

/** `berth tag`. */
export const tag = defineCommand({
  name: 'tag',
  docs: 'Give an image another name',
  operands: 'SOURCE TARGET',
  flags: {},
  run: async (context, _values, [source = '', target = '']) => {
    await (await context.engine()).images.tag(source, target);
    return 0;
  },
});

/** By the time in their configurations; one without goes last. */
function newestFirst(a: Image, b: Image): number {
  const [first, second] = [a, b].map(({ config }) => Date.parse(config.created ?? '') || 0);
  return (second ?? 0) - (first ?? 0);
}

/** An image for another platform, which shows under the name of the whole. */
function isOther({ names, partOf = [] }: Image): boolean {
  return names.length === 0 && partOf.some((whole) => whole.names.length > 0);
}

/** Fields of an image for a list: once for each of its names. */
export function rowsOf(image: Image, noTrunc: boolean): readonly Fields[] {
  const created = image.config.created;
  const at = created === undefined ? NaN : Date.parse(created);
  const shown = (id: string): string => (noTrunc ? id : id.slice('sha256:'.length, 'sha256:'.length + 12));
  const shared = {
    ID: shown(image.id),
    Digest: image.manifest?.digest ?? '<none>',
    CreatedAt: created === undefined ? '' : goTime(created),
    CreatedSince: Number.isNaN(at) ? 'N/A' : `${humanDuration(Date.now() - at)} ago`,
    Size: humanSize(image.size),
    VirtualSize: humanSize(image.size),
    // What only `system df -v` adds up.
    SharedSize: 'N/A',
    UniqueSize: 'N/A',
    Containers: 'N/A',
  };
  if (image.names.length === 0) return [{ Repository: '<none>', Tag: '<none>', ...shared }];
  return image.names.map((name) => {
    const familiar = familiarName(name);
    const at = familiar.lastIndexOf(':');
    const tagged = at > familiar.lastIndexOf('/');
    // The name of an image for several platforms is that of the whole.
    const whole = image.partOf?.find(({ names }) => names.includes(name))?.descriptor.digest;
    return {
      Repository: tagged ? familiar.slice(0, at) : familiar,
      Tag: tagged ? familiar.slice(at + 1) : '<none>',
      ...shared,
      ...(whole === undefined ? {} : { ID: shown(whole), Digest: whole }),
    };
  });
}

/** A full name as Docker shows it: without `docker.io/library/`. */
export function familiarName(name: string): string {
  return name.replace(/^docker\.io\/library\//, '').replace(/^docker\.io\//, '');
}

function isWanted({ Repository, Tag }: Fields, wanted: string): boolean {
  return isLike(`${String(Repository)}:${String(Tag)}`, familiarName(wanted));
}

import { type ContainerSummary, type Engine, escapeControl, formatPlatform } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { type Filter, hasLabel, isTrue, matchesAll, parseFilter, pattern } from '../filter.ts';
import { list, single, text, toggle } from '../flags.ts';
import { type Column, printList } from '../print-list.ts';
import { type Fields, labelOf, withText } from '../template/index.ts';
import { goTime, humanDuration, humanSize } from '../units.ts';
import { OperandsError } from '../usage-error.ts';
import { parseNumber } from './limit-flags.ts';

const COLUMNS: readonly Column[] = [
  ['CONTAINER ID', 'ID'],
  ['IMAGE', 'Image'],
  ['COMMAND', 'Command'],
  ['CREATED', 'RunningFor'],
  ['STATUS', 'Status'],
  ['PORTS', 'Ports'],
  ['NAMES', 'Names'],
];

const FILTERS = {
  name: ({ name }: ContainerSummary, value: string) => pattern(value).test(`/${name}`) || pattern(value).test(name),
  id: ({ id }: ContainerSummary, value: string) => pattern(value).test(id),
  status: ({ status }: ContainerSummary, value: string) => status === value,
  health: ({ health = 'none' }: ContainerSummary, value: string) => health === value,
  exited: ({ status, exitCode }: ContainerSummary, value: string) => status === 'exited' && String(exitCode) === value,
  ancestor: ({ image, imageId }: ContainerSummary, value: string) =>
    image === value || image === `${value}:latest` || imageId === value || imageId.startsWith(`sha256:${value}`),
  label: ({ labels }: ContainerSummary, value: string) => hasLabel(labels, value),
  volume: ({ mounts }: ContainerSummary, value: string) =>
    mounts.some(({ source, target }) => source === value || target === value.replace(/(.)\/+$/, '$1')),
  network: ({ networks }: ContainerSummary, value: string) =>
    networks.some(({ name, id }) => name === value || (id !== undefined && value !== '' && id.startsWith(value))),
  publish: ({ ports }: ContainerSummary, value: string) =>
    ports.some(({ hostPort, protocol }) => holdsPort(value, hostPort, protocol)),
  expose: ({ ports, exposed }: ContainerSummary, value: string) =>
    ports.some(({ containerPort, protocol }) => holdsPort(value, containerPort, protocol)) ||
    exposed.some((port) => holdsPort(value, Number.parseInt(port, 10), port.split('/')[1])),
  // No container here is one of a swarm or of Windows.
  'is-task': (_container: ContainerSummary, value: string) => !isTrue(value),
  isolation: (_container: ContainerSummary, value: string) => value === 'default' || value === '',
  before: () => true,
  since: () => true,
} as const;

const PORTS = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp))?$/;

/** Whether `80`, `80/udp` or `8000-8080/tcp` means a port. */
function holdsPort(text: string, port: number, protocol: string | undefined): boolean {
  const [, first, last = first, kind = 'tcp'] = PORTS.exec(text) ?? [];
  return first !== undefined && Number(first) <= port && port <= Number(last) && kind === protocol;
}

const STATES = ['created', 'running', 'exited', 'dead', 'paused', 'restarting', 'removing'];
const HEALTH = ['starting', 'healthy', 'unhealthy', 'none'];

function parsePsFilter(word: string): Filter {
  const filter = parseFilter(word, FILTERS, { status: STATES, health: HEALTH });
  if (filter.name === 'exited' && !/^\d{1,3}$/.test(filter.value))
    throw new OperandsError(`invalid filter 'exited=${filter.value}'`);
  if ((filter.name === 'publish' || filter.name === 'expose') && !PORTS.test(filter.value)) {
    throw new OperandsError(
      `invalid filter '${filter.name}=${filter.value}'`,
      `${filter.name}=80, 80/udp or 8000-8080/tcp`,
    );
  }
  return filter;
}

/** `berth ps`. */
export const ps = defineCommand({
  name: 'ps',
  docs: 'List containers',
  operands: '',
  flags: {
    all: toggle('-a, --all', 'show those that have ended too'),
    filter: list('-f, --filter NAME=VALUE', `${Object.keys(FILTERS).join('=, ')}=`, parsePsFilter),
    format: text('--format FORMAT', 'json, table, or a template such as {{.ID}} {{.Names}}'),
    last: single(
      '-n, --last NUMBER',
      'show the last created ones, in any state; 0 or less for those that run',
      parseNumber,
    ),
    latest: toggle('-l, --latest', 'show the last created one, in any state'),
    noTrunc: toggle('--no-trunc', 'do not cut ids and commands'),
    quiet: toggle('-q, --quiet', 'show ids only'),
    size: toggle('-s, --size', 'show what each has written, and its files together'),
  },
  run: async (context, { all, filter, format, last, latest, noTrunc, quiet, size }) => {
    const engine = await context.engine();
    const { containers } = engine;
    const limit = latest ? 1 : last !== undefined && last > 0 ? last : undefined;
    // A filter for a state asks for containers that have ended as well.
    const states = filter.some(({ name }) => name === 'status' || name === 'exited');
    const listed = await containers.list({ all: all || limit !== undefined || states });
    const between = await createdBetween(containers, filter);
    const chosen = listed
      .filter((container) => between(container) && matchesAll(container, filter, FILTERS))
      .slice(0, limit);
    // As with Docker, -q counts before a format here.
    if (quiet) {
      for (const { id } of chosen) context.stdout.write(`${noTrunc ? id : id.slice(0, 12)}\n`);
    } else {
      // Adding up takes time, and is done where it will be seen.
      const shown = size || (format !== undefined && /\bSize\b/.test(format));
      const sizeOf = shown ? await readSizes(engine) : (): string => '0B';
      printList(
        context,
        chosen.map((container) => ({ ...rowOf(container, noTrunc), Size: sizeOf(container) })),
        { columns: size ? [...COLUMNS, ['SIZE', 'Size']] : COLUMNS, format },
      );
    }
    return 0;
  },
});

/** `12kB (virtual 130MB)` of a container. */
async function readSizes({ containers, images }: Engine): Promise<(container: ContainerSummary) => string> {
  const [written, all] = await Promise.all([containers.sizes(), images.list()]);
  const ofImages = new Map<string, number>(all.map(({ id, size }) => [id, size]));
  return ({ id, imageId }) => {
    const own = written.get(id) ?? 0;
    return `${humanSize(own)} (virtual ${humanSize(own + (ofImages.get(imageId) ?? 0))})`;
  };
}

/** `before` and `since` name a container, and keep what was created on that side of it. */
async function createdBetween(
  containers: Pick<Engine['containers'], 'resolve'>,
  filters: readonly Filter[],
): Promise<(container: ContainerSummary) => boolean> {
  const times = async (wanted: string): Promise<readonly string[]> =>
    await Promise.all(
      filters
        .filter(({ name }) => name === wanted)
        .map(async ({ value }) => (await containers.resolve(value)).createdAt),
    );
  const [before, since] = await Promise.all([times('before'), times('since')]);
  return ({ createdAt }) => before.every((time) => createdAt < time) && since.every((time) => createdAt > time);
}

/** Fields of a container for a list. */
export function rowOf(container: ContainerSummary, noTrunc: boolean): Fields {
  const command = container.command.map(shownWord).join(' ');
  return {
    ID: noTrunc ? container.id : container.id.slice(0, 12),
    Image: container.image,
    Command: noTrunc || command.length <= 20 ? `"${command}"` : `"${command.slice(0, 19)}…"`,
    CreatedAt: goTime(container.createdAt),
    RunningFor: `${humanDuration(Date.now() - Date.parse(container.createdAt))} ago`,
    State: container.status,
    Status: statusOf(container),
    Ports: container.ports
      .map(
        ({ hostAddress, hostPort, containerPort, protocol }) =>
          `${hostAddress.includes(':') ? `[${hostAddress}]` : hostAddress}:${hostPort}->${containerPort}/${protocol}`,
      )
      .join(', '),
    Names: container.name,
    Platform: container.platform ? shownPlatform(container.platform) : '',
    Mounts: container.mounts.map(({ source }) => (noTrunc ? source : cut(source, 15))).join(','),
    LocalVolumes: String(container.mounts.filter(({ source }) => !source.startsWith('/')).length),
    Networks: container.networks.map(({ name }) => name).join(','),
    Label: labelOf(container.labels),
    Labels: Object.entries(container.labels)
      .map(([name, value]) => `${name}=${value}`)
      .sort()
      .join(','),
  };
}

/** `linux/amd64` in a template, and its fields in Docker's order as JSON. */
function shownPlatform(platform: NonNullable<ContainerSummary['platform']>): Fields {
  const { architecture, os, variant } = platform;
  return withText({ architecture, os, ...(variant ? { variant } : {}) }, formatPlatform(platform));
}

/** As Docker shows a word of a command: one with a blank has quotes, but for the first. */
function shownWord(word: string, index: number): string {
  const text = escapeControl(word).replaceAll('\n', '\\n');
  return index > 0 && text.includes(' ') ? `'${text}'` : text;
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** As Docker says it: `Up 5 minutes (healthy)`, `Restarting (1) 2 seconds ago`. */
function statusOf({ status, exitCode, startedAt, finishedAt, health }: ContainerSummary): string {
  const since = (time: string | null): string =>
    humanDuration(Date.now() - Date.parse(time ?? new Date().toISOString()));
  if (status === 'restarting') return `Restarting (${exitCode ?? 0}) ${since(finishedAt)} ago`;
  if (status === 'paused') return `Up ${since(startedAt)} (Paused)`;
  if (status === 'running') {
    const said = health === 'starting' ? 'health: starting' : health;
    return `Up ${since(startedAt)}${said === undefined ? '' : ` (${said})`}`;
  }
  if (status === 'exited') return `Exited (${exitCode ?? 0}) ${since(finishedAt)} ago`;
  return status === 'created' ? 'Created' : 'Dead';
}

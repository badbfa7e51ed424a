import { type ContainerSummary, escapeControl } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { count, list, text, toggle } from '../flags.ts';
import { type Column, printList } from '../print-list.ts';
import type { Fields } from '../template.ts';
import { humanDuration } from '../units.ts';
import { UsageError } from '../usage-error.ts';

const COLUMNS: readonly Column[] = [
  ['CONTAINER ID', 'ID'],
  ['IMAGE', 'Image'],
  ['COMMAND', 'Command'],
  ['CREATED', 'RunningFor'],
  ['STATUS', 'Status'],
  ['PORTS', 'Ports'],
  ['NAMES', 'Names'],
];

/** `berth ps`. */
export const ps = defineCommand({
  name: 'ps',
  docs: 'List containers',
  operands: '',
  flags: {
    all: toggle('-a, --all', 'show those that have ended too'),
    filter: list('-f, --filter NAME=VALUE', 'name=, id=, label=, status=, ancestor=, exited=', parseFilter),
    format: text('--format FORMAT', 'json, table, or a template such as {{.ID}} {{.Names}}'),
    last: count('-n, --last NUMBER', 'show the last created ones, in any state'),
    latest: toggle('-l, --latest', 'show the last created one, in any state'),
    noTrunc: toggle('--no-trunc', 'do not cut ids and commands'),
    quiet: toggle('-q, --quiet', 'show ids only'),
  },
  refused: ['s', 'size'],
  run: async (context, { all, filter, format, last, latest, noTrunc, quiet }) => {
    const { containers } = await context.engine();
    const limit = latest ? 1 : last;
    // A filter for a state asks for containers that have ended as well.
    const states = filter.some(({ name }) => name === 'status' || name === 'exited');
    const listed = await containers.list({ all: all || limit !== undefined || states });
    const chosen = listed.filter((container) => matches(container, filter)).slice(0, limit);
    if (quiet && format === undefined) {
      for (const { id } of chosen) context.stdout.write(`${noTrunc ? id : id.slice(0, 12)}\n`);
    } else {
      printList(
        context,
        chosen.map((container) => rowOf(container, noTrunc)),
        { columns: COLUMNS, format },
      );
    }
    return 0;
  },
});

interface Filter {
  readonly name: string;
  readonly value: string;
}

const FILTERS: Readonly<Record<string, (container: ContainerSummary, value: string) => boolean>> = {
  name: ({ name }, value) => name.includes(value.replace(/^\//, '')),
  id: ({ id }, value) => id.startsWith(value),
  status: ({ status }, value) => status === value,
  exited: ({ status, exitCode }, value) => status === 'exited' && String(exitCode) === value,
  ancestor: ({ image, imageId }, value) =>
    image === value || imageId.startsWith(value) || imageId.startsWith(`sha256:${value}`),
  label: ({ labels }, value) => {
    const at = value.indexOf('=');
    const name = at < 0 ? value : value.slice(0, at);
    return Object.hasOwn(labels, name) && (at < 0 || labels[name] === value.slice(at + 1));
  },
};

function parseFilter(word: string): Filter {
  const at = word.indexOf('=');
  const name = word.slice(0, at);
  if (at < 1) throw new UsageError('wanted name=value');
  if (!Object.hasOwn(FILTERS, name))
    throw new UsageError(`Cannot filter by "${name}": not supported yet`, `${Object.keys(FILTERS).join(', ')} are`);
  return { name, value: word.slice(at + 1) };
}

/** Values of one filter are alternatives, different filters must all hold, labels too; as with Docker. */
function matches(container: ContainerSummary, filters: readonly Filter[]): boolean {
  return Object.entries(FILTERS).every(([name, test]) => {
    const values = filters.filter((filter) => filter.name === name).map(({ value }) => value);
    if (name === 'label') return values.every((value) => test(container, value));
    return values.length === 0 || values.some((value) => test(container, value));
  });
}

function rowOf(container: ContainerSummary, noTrunc: boolean): Fields {
  const command = container.command.map((word) => escapeControl(word).replaceAll('\n', '\\n')).join(' ');
  return {
    ID: noTrunc ? container.id : container.id.slice(0, 12),
    Image: container.image,
    Command: noTrunc || command.length <= 20 ? `"${command}"` : `"${command.slice(0, 19)}…"`,
    CreatedAt: container.createdAt,
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
    Labels: Object.entries(container.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
  };
}

function statusOf({ status, exitCode, startedAt, finishedAt }: ContainerSummary): string {
  const since = (time: string | null): string =>
    humanDuration(Date.now() - Date.parse(time ?? new Date().toISOString()));
  if (status === 'running') return `Up ${since(startedAt)}`;
  if (status === 'exited') return `Exited (${exitCode ?? 0}) ${since(finishedAt)} ago`;
  return status === 'created' ? 'Created' : 'Dead';
}

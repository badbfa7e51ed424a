import type { Result, Results, TaskResults } from './results.ts';

/** Bytes that a machine's free memory moves by when nothing happens. */
const MEMORY_NOISE = 16e6;

/** The page `docs/performance.md`. */
export function formatPage(results: Results): string {
  const { machine } = results;
  const bounds = `${machine.processor}, ${machine.cores} cores, ${gibibytes(machine.memory)} of memory, Linux ${machine.kernel}`;
  return `# Performance

Written by \`npm run bench\` from [performance.json](performance.json); run it to have your machine's own. Every tool does the same task on the same
machine in the same run, in turns, and begins when the machine has
become quiet; figures are medians. CPU and memory are the whole machine's, so that a daemon's work counts. A ratio below 1
says that berth needs less.

Machine: ${bounds}. It does SHA-256 at ${machine.sha256} MB/s and gzip at ${machine.gzip} MB/s a core, and writes ${machine.write} MB/s to its disk.

Tools: ${results.peers.map(({ name, version }) => `${name} ${version}`).join(', ')}. docker has no bridge here, and
buildah and podman are not given one: builds and servers of theirs use the host's network. Steps of our builds have a network of their own, which theirs are spared here; our servers use
the host's where a row does not say otherwise.

${(results.notes ?? []).map((note) => `${note}\n\n`).join('')}![berth beside its peers](performance.svg)

## Wall time

${table(results, ({ wall }) => wall.median, seconds)}

## CPU time

${table(results, ({ cpu }) => cpu.median, seconds)}

## Peak memory

${table(results, ({ memory }) => memory.median, megabytes, MEMORY_NOISE)}

No ratio beside less than 16 MB: the free memory of a machine moves by as much on its own.

## Spread of the wall time

${spread(results)}

## What the rows are

${results.tasks.map(rowOf).join('\n')}
`;
}

function rowOf({ name, title, floor }: TaskResults): string {
  return `- **${name}**: ${title}.${floor ? ` The floor is ${floor.title}: no engine takes part in it, and none can need less.` : ''}`;
}

/** A row a task: each tool's figure, and beside a peer's the ratio of ours to it. */
function table(
  { tasks, peers }: Results,
  pick: (result: Omit<Result, 'peer'>) => number,
  format: (value: number) => string,
  least = 0,
): string {
  const hasFloor = tasks.some(({ floor }) => floor);
  const head = ['', ...peers.map(({ name }) => name), ...(hasFloor ? ['floor'] : [])];
  const rows = tasks.map(({ name, results, floor }) => {
    const ours = results.find(({ peer }) => peer === 'berth');
    const cells = peers.map((peer) => {
      const result = results.find((one) => one.peer === peer.name);
      if (!result) return '–';
      const ratio =
        ours && result !== ours && pick(result) > least ? ` (${(pick(ours) / pick(result)).toFixed(2)})` : '';
      return `${format(pick(result))}${ratio}`;
    });
    return [name, ...cells, ...(hasFloor ? [floor ? format(pick(floor)) : '–'] : [])];
  });
  return markdown(head, rows);
}

function spread({ tasks, peers }: Results): string {
  const rows = tasks.map(({ name, results }) => [
    name,
    ...peers.map((peer) => {
      const wall = results.find((one) => one.peer === peer.name)?.wall;
      return wall ? `${seconds(wall.min)} – ${seconds(wall.max)}, ${wall.runs} runs` : '–';
    }),
  ]);
  return markdown(['', ...peers.map(({ name }) => name)], rows);
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function seconds(value: number): string {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

function megabytes(value: number): string {
  return `${Math.max(0, Math.round(value / 1e6))} MB`;
}

function gibibytes(value: number): string {
  return `${Math.round(value / 2 ** 30)} GiB`;
}

import type { StatsSample } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { text, toggle } from '../flags.ts';
import { type Column, printList } from '../print-list.ts';
import type { Fields } from '../template/index.ts';
import { binarySize, humanSize } from '../units.ts';

const COLUMNS: readonly Column[] = [
  ['CONTAINER ID', 'ID'],
  ['NAME', 'Name'],
  ['CPU %', 'CPUPerc'],
  ['MEM USAGE / LIMIT', 'MemUsage'],
  ['MEM %', 'MemPerc'],
  ['NET I/O', 'NetIO'],
  ['BLOCK I/O', 'BlockIO'],
  ['PIDS', 'PIDs'],
];
/** Milliseconds between two looks. */
const INTERVAL = 1000;
/** Home, and away with what stands there. */
const CLEAR = '\u001B[2J\u001B[H';

/** `berth stats`. */
export const stats = defineCommand({
  name: 'stats',
  docs: 'Show what containers use',
  operands: '[CONTAINER...]',
  flags: {
    all: toggle('-a, --all', 'show those that do not run too'),
    format: text('--format FORMAT', 'json, table, or a template such as {{.Name}} {{.CPUPerc}}'),
    noStream: toggle('--no-stream', 'show one result and end'),
    noTrunc: toggle('--no-trunc', 'do not cut ids'),
  },
  run: async (context, { all, format, noStream, noTrunc }, names) => {
    const { containers } = await context.engine();
    let before = await containers.stats(names);
    for (;;) {
      await pause(context);
      const now = await containers.stats(names);
      const idle = all && names.length === 0 ? await restOf(context, now) : [];
      const rows = [
        ...now.containers.map((one) => ({
          ...rowOf(one, before, now, noTrunc),
          ...askedAs(one, names),
        })),
        ...idle,
      ];
      if (!noStream && context.stdout.isTTY && format === undefined) context.stdout.write(CLEAR);
      printList(context, rows, { columns: COLUMNS, format });
      if (noStream) return 0;
      before = now;
    }
  },
});

/** `Container` of a template is the word that was typed. */
function askedAs({ id, name }: StatsSample['containers'][number], names: readonly string[]): Fields {
  const word = names.find((typed) => typed === name || id.startsWith(typed));
  return word === undefined ? {} : { Container: word };
}

async function pause({ signal }: Context): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, INTERVAL);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}

/** Containers that do not run use nothing. */
async function restOf(context: Context, { containers }: StatsSample): Promise<readonly Fields[]> {
  const running = new Set(containers.map(({ id }) => id));
  const engine = await context.engine();
  return (await engine.containers.list({ all: true }))
    .filter(({ id }) => !running.has(id))
    .map(({ id, name }) => fields(id.slice(0, 12), name, ['0.00%', '0B / 0B', '0.00%', '0B / 0B', '0B / 0B', '0']));
}

function rowOf(
  one: StatsSample['containers'][number],
  before: StatsSample,
  now: StatsSample,
  noTrunc: boolean,
): Fields {
  const last = before.containers.find(({ id }) => id === one.id);
  const used = one.cpuMicroseconds - (last?.cpuMicroseconds ?? one.cpuMicroseconds);
  const system = now.systemMicroseconds - before.systemMicroseconds;
  const share = system > 0 && used > 0 ? (used / system) * now.processors * 100 : 0;
  const limit = one.memoryLimit ?? now.memoryTotal;
  const pair = (figures: readonly [number, number] | null): string => {
    return figures ? `${humanSize(figures[0])} / ${humanSize(figures[1])}` : '-- / --';
  };
  return fields(noTrunc ? one.id : one.id.slice(0, 12), one.name, [
    `${share.toFixed(2)}%`,
    `${binarySize(one.memory)} / ${binarySize(limit)}`,
    `${(limit > 0 ? (one.memory / limit) * 100 : 0).toFixed(2)}%`,
    pair(one.network),
    pair(one.block),
    String(one.processes),
  ]);
}

function fields(
  id: string,
  name: string,
  [CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs]: readonly [string, string, string, string, string, string],
): Fields {
  return { Container: id, ID: id, Name: name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs };
}

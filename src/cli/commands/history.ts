import type { Engine } from '../../../engine/index.ts';
import { defineCommand } from '../command.ts';
import { single, text, toggle } from '../flags.ts';
import { type Column, printList } from '../print-list.ts';
import type { Fields } from '../template/index.ts';
import { humanDuration, humanSize, rfc3339 } from '../units.ts';
import { parsePlatform } from '../values/platform.ts';

type Line = Awaited<ReturnType<Engine['images']['history']>>[number];

/** Characters of an instruction that the table shows, as Docker's. */
const SHOWN = 45;
const COLUMNS: readonly Column[] = [
  ['IMAGE', 'ID'],
  ['CREATED', 'CreatedSince'],
  ['CREATED BY', 'CreatedBy'],
  ['SIZE', 'Size'],
  ['COMMENT', 'Comment'],
];

/** `berth history`. */
export const history = defineCommand({
  name: 'history',
  docs: 'Show the steps that made an image',
  operands: 'IMAGE',
  flags: {
    format: text('--format FORMAT', 'json, table, or a template such as {{.ID}}: {{.CreatedBy}}'),
    human: toggle('-H, --human', 'sizes and times for people (default)', true),
    noTrunc: toggle('--no-trunc', 'do not cut ids and instructions'),
    platform: single('--platform PLATFORM', 'the image for one platform of several', parsePlatform),
    quiet: toggle('-q, --quiet', 'show ids only'),
  },
  run: async (context, { format, human, noTrunc, platform, quiet }, [name = '']) => {
    const engine = await context.engine();
    const { Id } = platform === undefined ? { Id: name } : await engine.images.inspect(name, { platform });
    const lines = await engine.images.history(String(Id));
    const rows = lines.map((line) => rowOf(line, { human, noTrunc }));
    if (quiet) for (const { ID } of rows) context.stdout.write(`${String(ID)}\n`);
    else
      printList(context, rows, {
        columns: human
          ? COLUMNS
          : COLUMNS.map(([head, field]) => [head, field === 'CreatedSince' ? 'CreatedAt' : field]),
        format,
      });
    return 0;
  },
});

function rowOf(
  { id, created, createdBy, comment, size }: Line,
  { human, noTrunc }: { readonly human: boolean; readonly noTrunc: boolean },
): Fields {
  const at = created === undefined ? NaN : Date.parse(created);
  const text = createdBy.replaceAll('\t', ' ').replaceAll('\n', ' ');
  return {
    ID: id === undefined ? '<missing>' : noTrunc ? id : id.slice('sha256:'.length, 'sha256:'.length + 12),
    CreatedSince: Number.isNaN(at) ? 'N/A' : `${humanDuration(Date.now() - at)} ago`,
    CreatedAt: created === undefined ? 'N/A' : rfc3339(created),
    CreatedBy: noTrunc || text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 1)}…`,
    Size: human ? humanSize(size) : String(size),
    Comment: comment,
  };
}

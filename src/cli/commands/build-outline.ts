import { escapeControl, type Engine } from '../../../engine/index.ts';

type Outline = Awaited<ReturnType<Engine['dockerfile']['outline']>>;
type TargetList = Awaited<ReturnType<Engine['dockerfile']['targets']>>;

/** The outline of a target as Docker prints it. */
export function formatOutline(outline: Outline, isJson: boolean): string {
  const { name, description, args, secrets, ssh, text } = outline;
  if (isJson) {
    return toJson({
      ...present({ name, description }),
      args: args.map((arg) => ({
        name: arg.name,
        ...present({ description: arg.description, value: arg.value }),
        location: locationOf(arg),
      })),
      secrets: mounts(secrets),
      ssh: mounts(ssh),
      sources: [encode(text)],
    });
  }
  const head = [
    ...(name === '' ? [] : [`TARGET:      ${name}`]),
    ...(description === '' ? [] : [`DESCRIPTION: ${escapeControl(description)}`]),
  ];
  const rows = args.map((arg) => [arg.name, arg.value, arg.description]);
  return [
    head,
    table(['BUILD ARG', 'VALUE', 'DESCRIPTION'], rows),
    table(['SECRET', 'REQUIRED'], secrets.map(mountRow)),
    table(['SSH', 'REQUIRED'], ssh.map(mountRow)),
  ]
    .filter((block) => block.length > 0)
    .map((block) => `${block.join('\n')}\n\n`)
    .join('');
}

/** The stages as Docker prints them. */
export function formatTargets({ targets, text }: TargetList, isJson: boolean): string {
  if (isJson) {
    return toJson({
      targets: targets.map(({ name, isDefault, description, base, platform, ...place }) => ({
        ...present({ name }),
        ...(isDefault ? { default: true } : {}),
        ...present({ description, base, platform: platform ?? '' }),
        location: locationOf(place),
      })),
      sources: [encode(text)],
    });
  }
  const rows = targets.map(({ name, isDefault, description }) => [
    [name, ...(isDefault ? ['(default)'] : [])].filter(Boolean).join(' '),
    description,
  ]);
  return `${table(['TARGET', 'DESCRIPTION'], rows, 1).join('\n')}\n`;
}

/** A place in BuildKit's form. */
export function locationOf({ startLine, endLine }: { readonly startLine: number; readonly endLine: number }): unknown {
  return { ranges: [{ start: { line: startLine }, end: { line: endLine } }] };
}

type Mounts = Outline['secrets'];

function mounts(list: Mounts): readonly unknown[] | undefined {
  if (list.length === 0) return undefined;
  return list.map(({ name, required, ...place }) => ({
    name,
    ...(required ? { required } : {}),
    location: locationOf(place),
  }));
}

function mountRow({ name, required }: Mounts[number]): readonly string[] {
  return [name, required ? 'true' : ''];
}

/** Columns as wide as their widest cell and `gap` blanks; the last one is not padded. Nothing without rows. */
function table(head: readonly string[], rows: readonly (readonly string[])[], gap = 3): readonly string[] {
  if (rows.length === 0) return [];
  const all = [head, ...rows.map((row) => row.map(escapeControl))];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)) + gap);
  return all.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join(''),
  );
}

function present(fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function toJson(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

import { escapeControl, type VertexEvent } from '../../engine/index.ts';

const BAR = 30;
const MAX_ROWS = 40;
/** Rows shorter than this share of the whole are folded into one. */
const SHORT = 0.005;

/** When each step ran, as bars over one axis; a cached step says so instead. Empty when nothing took time. */
export function formatTimeline(vertices: readonly VertexEvent[], columns: number): readonly string[] {
  const timed = vertices.filter(({ started, completed }) => started !== undefined && completed !== undefined);
  const start = Math.min(...timed.map(({ started }) => started ?? Infinity));
  const total = Math.max(...timed.map(({ completed }) => completed ?? 0)) - start;
  if (timed.length === 0 || total <= 0) return [];
  const width = Math.max(20, columns - BAR - 14);
  const shown = vertices
    .filter((vertex) => vertex.cached === true || lengthOf(vertex) >= total * SHORT)
    .slice(0, MAX_ROWS);
  const folded = vertices.length - shown.length;
  return [
    `timeline, ${seconds(total)} in all`,
    ...shown.map((vertex) => row(vertex, { start, total, width })),
    ...(folded > 0 ? [`  and ${folded} shorter ones`] : []),
  ];
}

function row(
  vertex: VertexEvent,
  axis: { readonly start: number; readonly total: number; readonly width: number },
): string {
  const label = fit(escapeControl(vertex.name), axis.width);
  if (vertex.cached === true) return `  ${label} ${'cached'.padEnd(BAR)}`.trimEnd();
  const offset = Math.min(BAR - 1, Math.floor((((vertex.started ?? 0) - axis.start) / axis.total) * BAR));
  const length = Math.min(BAR - offset, Math.max(1, Math.round((lengthOf(vertex) / axis.total) * BAR)));
  const bar = `${'·'.repeat(offset)}${'█'.repeat(length)}${'·'.repeat(BAR - offset - length)}`;
  const mark = vertex.error === undefined ? ' ' : '✘';
  return `${mark} ${label} ${bar} ${seconds(lengthOf(vertex)).padStart(8)}`;
}

function fit(text: string, width: number): string {
  const line = text.replaceAll('\n', ' ');
  return line.length > width ? `${line.slice(0, width - 1)}…` : line.padEnd(width);
}

function lengthOf({ started = 0, completed = 0 }: VertexEvent): number {
  return completed - started;
}

function seconds(milliseconds: number): string {
  return milliseconds < 100 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

import type { VertexEvent } from '../../engine/index.ts';

const MAX_BARS = 40;

/** A vertex under a name of ours: the picture never holds text of a Dockerfile. */
export interface NamedStep {
  readonly label: string;
  readonly section: 'Build' | 'Smoke test' | 'Push';
  readonly vertex: VertexEvent;
}

const OWN: Readonly<Record<string, string>> = {
  'load dockerfile': 'read Dockerfile',
  'load context': 'read context',
  'pack layers': 'pack layers',
  'export image': 'assemble image',
  smoke: 'smoke test',
};

/** Numbers the steps in the order in which they began. */
export function nameSteps(timeline: readonly VertexEvent[]): readonly NamedStep[] {
  let step = 0;
  let push = 0;
  let base = 0;
  let check = 0;
  let mount = 0;
  return timeline.map((vertex): NamedStep => {
    const own = OWN[vertex.id];
    if (own !== undefined) return { label: own, section: vertex.id === 'smoke' ? 'Smoke test' : 'Build', vertex };
    if (vertex.id.startsWith('push ')) return { label: `push ${(push += 1)}`, section: 'Push', vertex };
    if (vertex.parent === 'smoke') return { label: `check ${(check += 1)}`, section: 'Smoke test', vertex };
    if (vertex.id.startsWith('restore cache mount '))
      return { label: `cache mount ${(mount += 1)}`, section: 'Build', vertex };
    if (/^(?:pull|load metadata) /.test(vertex.id))
      return { label: `base image ${(base += 1)}`, section: 'Build', vertex };
    return { label: `step ${(step += 1)}`, section: 'Build', vertex };
  });
}

/** Mermaid's gantt of what took time; undefined when nothing did. */
export function gantt(steps: readonly NamedStep[]): string | undefined {
  const timed = steps.filter(({ vertex }) => lengthOf(vertex) > 0 && !vertex.cached);
  if (timed.length === 0) return undefined;
  const shown = new Set([...timed].sort((a, b) => lengthOf(b.vertex) - lengthOf(a.vertex)).slice(0, MAX_BARS));
  const start = Math.min(...timed.map(({ vertex }) => vertex.started ?? Infinity));
  const lines = ['```mermaid', 'gantt', '    dateFormat x', '    axisFormat %M:%S', '    title Steps by time'];
  for (const section of ['Build', 'Smoke test', 'Push'] as const) {
    const bars = timed.filter((step) => step.section === section && shown.has(step));
    if (bars.length > 0) lines.push(`    section ${section}`, ...bars.map((bar) => barOf(bar, start)));
  }
  return [...lines, '```'].join('\n');
}

function barOf({ label, vertex }: NamedStep, start: number): string {
  const state = vertex.error === undefined ? 'done' : 'crit';
  const [from, to] = [(vertex.started ?? start) - start, (vertex.completed ?? start) - start];
  return `    ${label} :${state}, ${Math.round(from)}, ${Math.max(Math.round(to), Math.round(from) + 1)}`;
}

function lengthOf({ started, completed }: VertexEvent): number {
  return started === undefined || completed === undefined ? 0 : completed - started;
}

import { escapeControl, type VertexEvent } from '../../../engine/index.ts';
import { seconds } from '../units.ts';

/** Work shorter than this, in milliseconds, gets no timeline. */
const WORTH_SHOWING = 5_000;
/** Steps shorter than this share of the whole are left out. */
const LEAST_SHARE = 0.02;
const BAR = 40;

/** Gathers the steps that ended, and draws when each of them ran. */
export interface Timeline {
  readonly add: (event: VertexEvent) => void;
  readonly lines: (columns: number) => readonly string[];
}

export function createTimeline(): Timeline {
  const spans: { readonly name: string; readonly start: number; readonly end: number }[] = [];
  return {
    add: ({ name, started, completed, cached }) => {
      if (started !== undefined && completed !== undefined && !cached)
        spans.push({ name, start: started, end: completed });
    },
    lines: (columns) => {
      const start = Math.min(...spans.map((span) => span.start));
      const whole = Math.max(...spans.map((span) => span.end)) - start;
      if (spans.length === 0 || whole < WORTH_SHOWING) return [];
      const shown = spans
        .filter((span) => span.end - span.start >= whole * LEAST_SHARE)
        .sort((a, b) => a.start - b.start);
      const room = Math.max(12, columns - BAR - 12);
      return [
        '',
        ...shown.map((span) => {
          const name = escapeControl(span.name).slice(0, room).padEnd(room);
          const from = Math.min(BAR - 1, Math.floor(((span.start - start) / whole) * BAR));
          const length = Math.max(1, Math.round(((span.end - span.start) / whole) * BAR));
          const bar = ' '.repeat(from) + '█'.repeat(Math.min(length, BAR - from));
          return `${name} ${bar.padEnd(BAR)} ${seconds(span.end - span.start).padStart(8)}`;
        }),
      ];
    },
  };
}

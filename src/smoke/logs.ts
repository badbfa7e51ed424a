import { setTimeout as delay } from 'node:timers/promises';

/** The container's output, as lines, bounded: a chatty container takes no more memory than a quiet one. */
export interface ContainerLog {
  add(stream: 'stdout' | 'stderr', chunk: Uint8Array): void;
  /** A mark for {@link since}. */
  mark(): number;
  /** The last `count` lines after the mark, oldest first. */
  since(mark: number, count?: number): readonly string[];
  /** Waits until no output has come for a moment: what a failing request made the server say arrives after its answer. */
  settle(): Promise<void>;
  /** Everything that is kept, to look for telling words. */
  text(): string;
}

/** Milliseconds of silence that count as settled, and the most to wait for them. */
const SILENCE = 100;
const PATIENCE = 1000;

const MAX_LINES = 5000;
const MAX_LINE = 4096;

/** @param onLine hears of every whole line */
export function createContainerLog(onLine: (line: string) => void = () => undefined): ContainerLog {
  const lines: string[] = [];
  let dropped = 0;
  let chunks = 0;
  const partial = { stdout: '', stderr: '' };
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const push = (line: string): void => {
    onLine(line);
    lines.push(line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line);
    if (lines.length <= MAX_LINES) return;
    dropped += lines.length - MAX_LINES;
    lines.splice(0, lines.length - MAX_LINES);
  };
  const all = (): readonly string[] => [...lines, ...Object.values(partial).filter((rest) => rest !== '')];
  return {
    add: (stream, chunk) => {
      chunks += 1;
      const parts = (partial[stream] + decoders[stream].decode(chunk, { stream: true })).split('\n');
      partial[stream] = parts.pop() ?? '';
      for (const part of parts) push(part.replace(/\r$/, ''));
      // A line without an end must not grow for ever.
      if (partial[stream].length > MAX_LINE) {
        push(partial[stream]);
        partial[stream] = '';
      }
    },
    mark: () => dropped + lines.length,
    since: (mark, count = 50) =>
      all()
        .slice(Math.max(0, mark - dropped))
        .slice(-count),
    settle: async () => {
      const end = performance.now() + PATIENCE;
      for (let seen = -1; seen !== chunks && performance.now() < end;) {
        seen = chunks;
        await delay(SILENCE);
      }
    },
    text: () => all().join('\n'),
  };
}

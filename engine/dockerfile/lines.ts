import type { Escape } from './ast.ts';
import { trimStart } from '../base/space.ts';

/** Walks over the physical lines of a file. */
export interface LineCursor {
  /** Lines already taken; the number of the last one. */
  readonly taken: number;
  /** The next line with its newline; undefined at the end. */
  next(): string | undefined;
}

/** A {@link LineCursor} over `text`. */
export function createLineCursor(text: string): LineCursor {
  let at = 0;
  let taken = 0;
  return {
    get taken() {
      return taken;
    },
    next() {
      if (at >= text.length) return undefined;
      const newline = text.indexOf('\n', at);
      const end = newline < 0 ? text.length : newline + 1;
      const line = text.slice(at, end);
      at = end;
      taken += 1;
      return line;
    },
  };
}

/** An instruction's line, its continuations joined. */
export interface JoinedLine {
  readonly text: string;
  readonly startLine: number;
  /** An empty line stood among the continuations. */
  readonly hasEmptyContinuation: boolean;
}

/** Takes the rest of an instruction that starts with `first`, the line that the cursor has just given. */
export function joinLines(first: string, cursor: LineCursor, escape: Escape): JoinedLine {
  const startLine = cursor.taken;
  const parts: string[] = [];
  let hasEmptyContinuation = false;
  let isOpen = push(parts, trimStart(trimNewline(first)), escape);
  while (isOpen) {
    const raw = cursor.next();
    if (raw === undefined) break;
    const line = trimNewline(raw);
    if (commentOf(line) !== undefined) continue;
    if (trimStart(line) === '') hasEmptyContinuation = true;
    else isOpen = push(parts, line, escape);
  }
  return { text: parts.join(''), startLine, hasEmptyContinuation };
}

/** The text of a comment line; undefined when it is none. */
export function commentOf(line: string): string | undefined {
  const trimmed = trimStart(line);
  return trimmed.startsWith('#') ? trimmed.slice(1) : undefined;
}

/** `line` without its newline and carriage returns. */
export function trimNewline(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === '\n' || line[end - 1] === '\r')) end -= 1;
  return line.slice(0, end);
}

/** Adds a line without its continuation mark; true when it had one. */
function push(parts: string[], line: string, escape: Escape): boolean {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end -= 1;
  const isContinued = line[end - 1] === escape && line[end - 2] !== escape;
  parts.push(isContinued ? line.slice(0, end - 1) : line);
  return isContinued;
}

import { escapeControl, type WarningEvent } from '../../../engine/index.ts';

/** Lines of a warning with its place and what helps: none when the same one has been given before, as every step may give it. */
export function createWarnings(): (event: WarningEvent) => readonly string[] {
  const given = new Set<string>();
  return ({ location, message, hint }) => {
    const place = location ? `${location.file}:${location.startLine}: ` : '';
    const line = escapeControl(`WARN: ${place}${message}${hint ? ` (${hint})` : ''}`);
    if (given.has(line)) return [];
    given.add(line);
    return [line];
  };
}

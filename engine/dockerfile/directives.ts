import type { Directives, Escape } from './ast.ts';
import { locate, SyntaxMistake, type Source } from './errors.ts';
import { trimSpace } from '../base/space.ts';

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+)$/;
const KNOWN: readonly string[] = ['check', 'escape', 'syntax'];

/** The parser directives of a file, and how many lines they take. */
export interface DirectiveLines {
  readonly directives: Directives;
  readonly count: number;
}

/**
 * Reads the `# key=value` lines at the top: the first line that is none, or names an unknown key, ends them.
 *
 * @throws DockerfileError when a directive is given twice, or `escape` is neither backslash nor backtick
 */
export function readDirectives(lines: readonly string[], source: Source): DirectiveLines {
  const found = new Map<string, string>();
  let count = 0;
  for (const line of lines) {
    const directive = readDirective(line);
    if (!directive) break;
    count += 1;
    locate(source, { startLine: count, endLine: count }, () => add(found, directive));
  }
  const escape: Escape = found.get('escape') === '`' ? '`' : '\\';
  return { directives: { syntax: found.get('syntax'), escape, check: found.get('check') }, count };
}

function readDirective(line: string): readonly [string, string] | undefined {
  const match = DIRECTIVE.exec(trimSpace(line));
  const key = match?.[1]?.toLowerCase();
  return key !== undefined && KNOWN.includes(key) ? [key, match?.[2] ?? ''] : undefined;
}

function add(found: Map<string, string>, [key, value]: readonly [string, string]): void {
  if (found.has(key))
    throw new SyntaxMistake('syntax', `the directive "${key}" is given twice`, 'Keep one of the two lines');
  if (key === 'escape' && value !== '\\' && value !== '`') {
    throw new SyntaxMistake('bad-value', `"${value}" is no escape character`, 'Write # escape=\\ or # escape=`');
  }
  found.set(key, value);
}

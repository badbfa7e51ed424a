import type { Ast, AstNode, Directives } from './ast.ts';
import { decode, MAX_INSTRUCTIONS } from './decode.ts';
import { readDirectives } from './directives.ts';
import { DockerfileError, SyntaxMistake, where, type Source } from './errors.ts';
import { readHeredocs, takesHeredocs } from './heredoc.ts';
import { createFindings, type Findings } from './lint/findings.ts';
import { commentOf, createLineCursor, joinLines, trimNewline, type LineCursor } from './lines.ts';
import { nodeFromLine } from './node.ts';
import { trimSpace, trimStart } from '../base/space.ts';

/**
 * Parses a Dockerfile to a syntax tree: directives, continuations, comments, here-documents. Instructions are not checked yet.
 *
 * @param text the file, UTF-8; a byte order mark and CRLF are fine
 * @throws DockerfileError `DOCKERFILE_INVALID` with the line, `DOCKERFILE_NO_STAGE` for a file without instructions, `DOCKERFILE_TOO_LARGE`
 */
export function parse(text: string | Uint8Array, options: { readonly file: string }): Ast {
  const source: Source = { file: options.file, text: decode(text, options.file) };
  const { directives, count } = readDirectives(firstLines(source.text), source);
  const cursor = createLineCursor(source.text);
  for (let line = 0; line < count; line += 1) cursor.next();
  const findings = createFindings();
  const instructions = readInstructions(cursor, { source, directives, findings });
  const [first] = instructions;
  if (!first) throw noInstructions(source, cursor.taken);
  const endLine = instructions.at(-1)?.endLine ?? first.endLine;
  return { ...source, directives, instructions, startLine: first.startLine, endLine, findings };
}

interface ParseState {
  readonly source: Source;
  readonly directives: Directives;
  readonly findings: Findings;
}

/** Comments belong to the next instruction, also over blank lines; an empty comment parts them from it, as in BuildKit. */
function readInstructions(cursor: LineCursor, state: ParseState): readonly AstNode[] {
  const nodes: AstNode[] = [];
  let comments: string[] = [];
  for (let line = cursor.next(); line !== undefined; line = cursor.next()) {
    const comment = commentOf(trimNewline(line));
    if (comment !== undefined && trimSpace(comment) === '') comments = [];
    else if (comment !== undefined) comments.push(trimSpace(comment));
    else if (trimStart(trimNewline(line)) !== '') {
      nodes.push({ ...readInstruction(line, cursor, state), comments });
      comments = [];
      if (nodes.length > MAX_INSTRUCTIONS) throw tooMany(state.source, cursor.taken);
    }
  }
  return nodes;
}

function readInstruction(first: string, cursor: LineCursor, state: ParseState): AstNode {
  const { text, startLine, hasEmptyContinuation } = joinLines(first, cursor, state.directives.escape);
  const joinedEnd = cursor.taken;
  if (hasEmptyContinuation) {
    state.findings.report('NoEmptyContinuation', { startLine: joinedEnd, endLine: joinedEnd });
  }
  try {
    const node = nodeFromLine(text, state.directives.escape);
    const heredocs = takesHeredocs(node) && text.includes('<<') ? readHeredocs(text, cursor) : [];
    return { ...node, startLine, endLine: cursor.taken, heredocs };
  } catch (error) {
    if (!(error instanceof SyntaxMistake)) throw error;
    const range = { startLine, endLine: cursor.taken };
    const message = `Cannot read ${where(state.source, range)}: ${error.message}`;
    throw new DockerfileError('DOCKERFILE_INVALID', message, state.source, range, { hint: error.hint, cause: error });
  }
}

function noInstructions(source: Source, lines: number): DockerfileError {
  const message = `Cannot build ${source.file}: no build stage, the file has no instructions`;
  const hint = 'Add a line such as: FROM python:3.11-slim';
  return new DockerfileError('DOCKERFILE_NO_STAGE', message, source, { startLine: lines, endLine: lines }, { hint });
}

function tooMany(source: Source, line: number): DockerfileError {
  const message = `Cannot read ${source.file}: it has more than ${MAX_INSTRUCTIONS} instructions`;
  return new DockerfileError('DOCKERFILE_TOO_LARGE', message, source, { startLine: line, endLine: line });
}

/** Directives can only be three lines. */
function firstLines(text: string): readonly string[] {
  const cursor = createLineCursor(text);
  const lines: string[] = [];
  for (let line = cursor.next(); line !== undefined && lines.length < 4; line = cursor.next())
    lines.push(trimNewline(line));
  return lines;
}

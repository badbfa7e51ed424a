import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { isEngineError, type SourceLocation } from '../../engine/base/errors.ts';
import { parse, type Ast, type AstNode } from '../../engine/dockerfile/index.ts';
import { OWN } from '../e2e/support/conformance-own.ts';
import { lint } from '../helpers/lint.ts';
import { filesNamed, vectorTexts } from './seeds.ts';
import type { FuzzTarget } from './target.ts';

const FOLDERS = ['dockerfile-parser', 'instructions', 'lint', 'conformance-dev', 'shell-words'];
const INSTRUCTION =
  /^(?:add|arg|cmd|copy|entrypoint|env|expose|healthcheck|label|maintainer|onbuild|run|shell|stopsignal|user|volume|workdir)\s/i;

/** Text to graph: typed errors with a place in the file, and a tree that does not depend on how the same lines are written. */
export const dockerfile: FuzzTarget = {
  name: 'dockerfile',
  material: {
    seeds: [
      ...filesNamed(resolve(import.meta.dirname, '../../examples'), (name) => /dockerfile$/i.test(name)),
      ...OWN.map((row) => row.dockerfile),
      ...vectorTexts(FOLDERS, (text) => /^\s*(?:from|arg|#)\b/im.test(text) && text.includes('\n')),
      ...vectorTexts(FOLDERS, (text) => INSTRUCTION.test(text)).map((line) => `FROM a\n${line}\n`),
      ...vectorTexts(['shell-words'], (text) => text.includes('$')).map((word) => `FROM a\nARG b=c\nENV A=${word}\n`),
    ],
    words: [
      ...[
        'FROM a\n',
        'FROM a AS b\n',
        'RUN ',
        'COPY ',
        'ADD ',
        'ENV ',
        'ARG ',
        'LABEL ',
        'CMD ',
        'ONBUILD ',
        'EXPOSE ',
      ],
      ...['USER ', 'VOLUME ', 'WORKDIR ', 'SHELL ', 'HEALTHCHECK ', 'STOPSIGNAL ', 'MAINTAINER ', ' AS ', 'scratch'],
      ...['--from=b ', '--mount=type=cache,target=/x ', '--chmod=', '--chown=', '--link ', '--parents ', '--exclude=*'],
      ...['--network=none ', '--platform=$P ', '--interval=1s ', '--checksum=sha256:', '--keep-git-dir ', '--unpack '],
      ...[
        '$A',
        '${A:-b}',
        '${A#*}',
        '${A//x/y}',
        '${',
        '}',
        '%',
        '"',
        "'",
        '\\',
        '`',
        '\\\n',
        '`\n',
        '\n',
        '\n\n',
        '#',
      ],
      ...[
        '# check=skip=all\n',
        '# escape=`\n',
        '# syntax=x\n',
        '\uFEFF',
        '<<E',
        '<<-"E"',
        '<<',
        '\nE\n',
        '[',
        '"b"',
        ']',
      ],
      ...['=', ',', ' ', '\t', '\v', '\0', '\u00a0', '\r\n', '*', '/./', '..', ':', '@', 'https://a.test/b.git#c:d'],
    ],
  },
  check: async (text) => {
    const ast = readOrRefuse(text);
    await checkPlaces(text);
    checkByteOrderMark(text, ast);
    checkLineEnds(text, ast);
    if (!ast) return;
    checkRanges(ast, text);
    checkCommentAtEnd(ast, text);
    checkWrittenOut(ast);
  },
};

/** The tree; undefined where the text is refused with an error of the engine, whose place is in the file. */
function readOrRefuse(text: string): Ast | undefined {
  try {
    return parse(text, { file: 'Dockerfile' });
  } catch (error) {
    if (!isEngineError(error)) throw error;
    checkPlace(error.location, text);
    assert(error.message.length < 1000, `a message of ${error.message.length} characters`);
    return undefined;
  }
}

async function checkPlaces(text: string): Promise<void> {
  const { error, warnings } = await lint(text);
  assert.ifError(isEngineError(error) ? undefined : error);
  for (const { location } of [...warnings, ...(isEngineError(error) ? [error] : [])]) checkPlace(location, text);
}

function checkPlace(place: SourceLocation | undefined, text: string): void {
  if (!place) return;
  const lines = text.split('\n').length;
  const isInside = place.startLine >= 0 && place.startLine <= place.endLine && place.endLine <= lines;
  assert(isInside, `lines ${place.startLine} to ${place.endLine} of ${lines}`);
}

/** What an instruction says, wherever it stands. */
function saidBy({ value, args, flags, json, heredocs, nested }: AstNode): unknown {
  return { value, args, flags, json, heredocs, nested: nested && saidBy(nested) };
}

function shapeOf(ast: Ast | undefined): unknown {
  return ast?.instructions.map((node) => ({ ...(saidBy(node) as object), lines: [node.startLine, node.endLine] }));
}

function checkByteOrderMark(text: string, ast: Ast | undefined): void {
  if (text.startsWith('\uFEFF')) return;
  assert.deepEqual(shapeOf(readOrRefuse(`\uFEFF${text}`)), shapeOf(ast), 'with a byte order mark');
}

/** A carriage return is part of the text of a here-document. */
function checkLineEnds(text: string, ast: Ast | undefined): void {
  if (text.includes('<<') || text.includes('\r')) return;
  assert.deepEqual(shapeOf(readOrRefuse(text.replaceAll('\n', '\r\n'))), shapeOf(ast), 'with other line ends');
}

function checkRanges({ instructions, startLine, endLine, text }: Ast, given: string): void {
  assert.equal(text, given.replace(/^\uFEFF/, ''));
  let before = 0;
  for (const node of instructions) {
    assert(node.startLine > before && node.endLine >= node.startLine, `line ${node.startLine} after line ${before}`);
    before = node.endLine;
  }
  assert.deepEqual([startLine, endLine], [instructions[0]?.startLine, before]);
  assert(before <= text.split('\n').length);
}

/** The last instruction may be open still: then its lines go on to the comment. */
function checkCommentAtEnd({ instructions }: Ast, text: string): void {
  const again = readOrRefuse(`${text}\n# end\n`)?.instructions;
  assert.deepEqual(again?.map(saidBy), instructions.map(saidBy), 'with a comment at the end');
  const starts = (nodes: readonly AstNode[]): readonly number[] => nodes.map(({ startLine }) => startLine);
  assert.deepEqual(starts(again ?? []), starts(instructions));
}

/** The instructions alone, each on a line, with the texts of its here-documents, are the same instructions. */
function checkWrittenOut({ instructions, directives }: Ast): void {
  const lines = instructions.map(({ original }) => original);
  // A joined line may end with a mark that did not end a line before, begin with spaces or be none at all.
  const isAmbiguous = lines.some((line) => /[\\`]\s*$|^\s*#|^\s*$/.test(line) || Buffer.byteLength(line) > 65_000);
  if (isAmbiguous) return;
  const written = instructions.map(({ original, heredocs }) =>
    [original, ...heredocs.map(({ name, content }) => `${content}${name}`)].join('\n'),
  );
  const head = directives.escape === '`' ? '# escape=`\n' : '\n';
  const again = readOrRefuse(`${head}${written.join('\n')}\n`);
  assert.deepEqual(again?.instructions.map(saidBy), instructions.map(saidBy), 'written out again');
}

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { Ast, AstNode } from '../../../engine/dockerfile/ast.ts';
import { jsonStrings } from '../../../engine/dockerfile/arguments.ts';
import { readDirectives } from '../../../engine/dockerfile/directives.ts';
import { detectDirective } from '../../../engine/dockerfile/detect.ts';
import { DockerfileError } from '../../../engine/dockerfile/errors.ts';
import { chomp, heredocsInLine, parseHeredoc } from '../../../engine/dockerfile/heredoc.ts';
import { nodeFromLine } from '../../../engine/dockerfile/node.ts';
import { parse } from '../../../engine/dockerfile/parse.ts';
import { splitWords } from '../../../engine/dockerfile/words.ts';
import { describeVectors, readVectors, vectorPath } from '../../helpers/vectors.ts';

interface NodeVector {
  readonly value: string;
  readonly original: string;
  readonly lines?: readonly [number, number];
  readonly flags?: readonly string[];
  readonly json?: boolean;
  readonly args: readonly (string | { readonly instruction: NodeVector })[];
  readonly heredocs?: readonly HeredocVector[];
  readonly comments?: readonly string[];
}

interface HeredocVector {
  readonly name: string;
  readonly fd: number;
  readonly expand: boolean;
  readonly chomp: boolean;
  readonly content?: string;
}

interface AstVector {
  readonly escape: string;
  readonly lines: readonly [number, number];
  readonly warnings: readonly { readonly line: number }[];
  readonly instructions: readonly NodeVector[];
}

const file = 'Dockerfile';

describeVectors('dockerfile-parser', () => {
  test.each(readdirSync(vectorPath('dockerfile-parser/testfiles')))('testfiles: %s', (name) => {
    const at = (part: string): string => vectorPath('dockerfile-parser/testfiles', name, part);
    const ast = parse(readFileSync(at('Dockerfile')), { file });
    expect(dump(ast)).toBe(readFileSync(at('result'), 'utf8'));
    expect(view(ast)).toEqual(expected(readVectors<AstVector>('dockerfile-parser/testfiles', name, 'ast.json')));
  });

  const negative = readVectors<{ cases: { name: string; path: string }[] }>('dockerfile-parser/negative.json');
  test.each(negative.cases)('negative: $name', ({ path }) => {
    const text = readFileSync(vectorPath('dockerfile-parser', path));
    expect(() => parse(text, { file })).toThrow(DockerfileError);
  });

  const ranges = readVectors<{ path: string; lines: number[]; cases: { value: string; lines: number[] }[] }>(
    'dockerfile-parser/line-ranges.json',
  );
  test('line ranges', () => {
    const ast = parse(readFileSync(vectorPath('dockerfile-parser', ranges.path)), { file });
    expect([ast.startLine, ast.endLine]).toEqual(ranges.lines);
    const got = ast.instructions.map(({ value, startLine, endLine }) => ({ value, lines: [startLine, endLine] }));
    expect(got).toEqual(ranges.cases);
  });

  interface DirectiveCase {
    readonly kind: 'all' | 'detect-any-format' | 'detect-hash-only';
    readonly input: string;
    readonly key?: string;
    readonly found?: boolean;
    readonly cmdline?: string;
    readonly line?: number;
    readonly ref?: string;
    readonly directives?: readonly { readonly line: number; readonly name: string; readonly value: string }[];
  }
  const directives = readVectors<{ cases: DirectiveCase[] }>('dockerfile-parser/directives.json');
  test.each(directives.cases)('directives: $kind of $input', (row) => {
    if (row.kind === 'all') {
      const { directives: found, count } = readDirectives(row.input.split('\n'), { file, text: row.input });
      expect(row.directives).toEqual([{ line: count, name: 'escape', value: found.escape }]);
      return;
    }
    const found = detectDirective(row.key ?? '', row.input, { anyFormat: row.kind === 'detect-any-format' });
    expect(found).toEqual(row.found === true ? { value: row.cmdline, line: row.line, ref: row.ref } : undefined);
  });

  const heredocs = readVectors<{
    documents: { name: string; dockerfile: string; instructions: NodeVector[] }[];
    words: { input: string; result: 'heredoc' | 'none' | 'error'; heredoc?: HeredocVector }[];
    lines: { line: string; heredocs: HeredocVector[] }[];
    chomp: { input: string; output: string }[];
  }>('dockerfile-parser/heredocs.json');
  test.each(heredocs.documents)('heredocs: document $name', ({ dockerfile, instructions }) => {
    const ast = parse(dockerfile, { file });
    const got = ast.instructions.map((node) => ({
      value: node.value,
      original: node.original,
      lines: [node.startLine, node.endLine],
      heredocs: heredocView(node),
    }));
    expect(got).toEqual(instructions);
  });
  test.each(heredocs.words)('heredocs: word $input is $result', ({ input, result, heredoc }) => {
    if (result === 'error') expect(() => parseHeredoc(input)).toThrow();
    else expect(headView(parseHeredoc(input))).toEqual(heredoc);
  });
  test.each(heredocs.lines)('heredocs: $line', ({ line, heredocs: wanted }) => {
    expect(heredocsInLine(line).map(headView)).toEqual(wanted);
  });
  test.each(heredocs.chomp)('heredocs: chomp', ({ input, output }) => {
    expect(chomp(input)).toBe(output);
  });

  const fragments = readVectors<{
    words: { input: string; words: string[] }[];
    json_arrays: { input: string; ok: boolean; value?: string[] }[];
    name_value: { instruction: string; rest: string; args?: string[]; error?: string }[];
    limits: { template: string; fill_char: string; fill_count: number }[];
    empty_continuation: { dockerfile: string; warnings: { line: number }[] }[];
  }>('dockerfile-parser/fragments.json');
  test.each(fragments.words)('fragments: words of $input', ({ input, words }) => {
    expect(splitWords(input, '\\')).toEqual(words);
  });
  test.each(fragments.json_arrays)('fragments: JSON $input', ({ input, ok, value }) => {
    if (ok) expect(jsonStrings(input)).toEqual(value);
    else expect(() => jsonStrings(input)).toThrow();
  });
  test.each(fragments.name_value)('fragments: $instruction $rest', ({ instruction, rest, args }) => {
    if (args) expect(nodeFromLine(`${instruction} ${rest}`, '\\').args).toEqual(args);
    else expect(() => nodeFromLine(`${instruction} ${rest}`, '\\')).toThrow();
  });
  test.each(fragments.limits)('fragments: longest line', ({ template, fill_char, fill_count }) => {
    const text = template.replace('{fill}', fill_char.repeat(fill_count));
    expect(() => parse(text, { file })).toThrow('line 3 is longer than 65535 bytes');
  });
  test.each(fragments.empty_continuation)('fragments: empty continuation lines', ({ dockerfile, warnings }) => {
    expect(parse(dockerfile, { file }).findings.list.map((finding) => finding.startLine)).toEqual(
      warnings.map(({ line }) => line),
    );
  });

  interface MoreCase {
    readonly name: string;
    readonly dockerfile: string;
    readonly dump?: string;
    readonly ast?: AstVector;
    readonly error?: string;
    readonly error_lines?: readonly number[];
  }
  const more = readVectors<{ cases: MoreCase[] }>('dockerfile-parser/more.json');
  test.each(more.cases)('more: $name', (row) => {
    if (!row.ast) {
      expect(() => parse(row.dockerfile, { file })).toThrow(DockerfileError);
      return;
    }
    const ast = parse(row.dockerfile, { file });
    expect(dump(ast)).toBe(row.dump);
    expect(view(ast)).toEqual(expected(row.ast));
  });
});

/** The tree as S-expressions: the vectors' own format. */
function dump(ast: Ast): string {
  return ast.instructions.map((node) => `${expression(node)}\n`).join('');
}

function expression(node: AstNode): string {
  const flags = node.flags.length > 0 ? [`[${node.flags.map(quote).join(' ')}]`] : [];
  const nested = node.nested ? [expression(node.nested)] : [];
  return `(${[node.value.toLowerCase(), ...flags, ...nested, ...node.args.map(quote)].join(' ')})`;
}

/** Go's %q, as far as the vectors need it. */
function quote(text: string): string {
  return JSON.stringify(text)
    .replace(/\\u000b/g, '\\v')
    .replace(/\\u0000/g, '\\x00');
}

function view(ast: Ast): unknown {
  return {
    escape: ast.directives.escape,
    lines: [ast.startLine, ast.endLine],
    warnings: ast.findings.list.map((finding) => finding.startLine),
    instructions: ast.instructions.map((node) => nodeView(node, true)),
  };
}

function nodeView(node: AstNode, withLines: boolean): unknown {
  return {
    value: node.value,
    original: node.original,
    flags: node.flags,
    json: node.json,
    args: node.nested ? [{ instruction: nodeView(node.nested, false) }] : node.args,
    heredocs: heredocView(node),
    comments: node.comments,
    ...(withLines ? { lines: [node.startLine, node.endLine] } : {}),
  };
}

function expected(ast: AstVector): unknown {
  return {
    escape: ast.escape,
    lines: ast.lines,
    warnings: ast.warnings.map(({ line }) => line),
    instructions: ast.instructions.map(expectedNode),
  };
}

function expectedNode(node: NodeVector): unknown {
  return {
    value: node.value,
    original: node.original,
    flags: node.flags ?? [],
    json: node.json ?? false,
    args: node.args.map((arg) => (typeof arg === 'string' ? arg : { instruction: expectedNode(arg.instruction) })),
    heredocs: node.heredocs ?? [],
    comments: node.comments ?? [],
    ...(node.lines ? { lines: node.lines } : {}),
  };
}

function heredocView(node: AstNode): readonly unknown[] {
  return node.heredocs.map((heredoc) => ({ ...(headView(heredoc) as object), content: heredoc.content }));
}

function headView(head: ReturnType<typeof parseHeredoc>): unknown {
  return head && { name: head.name, fd: head.fileDescriptor, expand: head.expand, chomp: head.chomp };
}

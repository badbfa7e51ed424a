import type { AstNode } from '../ast.ts';
import { SyntaxMistake } from '../errors.ts';
import { chomp, parseHeredoc } from '../heredoc.ts';
import type { AddInstruction, CopyInstruction, InlineFile, SourcesAndDest } from '../instruction.ts';
import { readFlags, type FlagTypes, type FlagValues } from './flags.ts';
import { placeOf, requireArguments } from './request.ts';

const SHARED: FlagTypes = { chown: 'string', chmod: 'string', link: 'bool', exclude: 'list' };
const ADD_FLAGS: FlagTypes = { ...SHARED, checksum: 'string', 'keep-git-dir': 'bool', unpack: 'bool' };
const COPY_FLAGS: FlagTypes = { ...SHARED, from: 'string', parents: 'bool' };

/** ADD. */
export function readAdd(node: AstNode): AddInstruction {
  const flags = readFlags(node.flags, ADD_FLAGS);
  return {
    ...placeOf(node),
    kind: 'add',
    ...sourcesAndDest(node, flags),
    checksum: flags.text('checksum') || undefined,
    keepGitDir: flags.bool('keep-git-dir'),
    unpack: flags.bool('unpack'),
  };
}

/** COPY. */
export function readCopy(node: AstNode): CopyInstruction {
  const flags = readFlags(node.flags, COPY_FLAGS);
  return {
    ...placeOf(node),
    kind: 'copy',
    ...sourcesAndDest(node, flags),
    from: flags.text('from') || undefined,
    parents: flags.bool('parents') ?? false,
  };
}

function sourcesAndDest(node: AstNode, flags: FlagValues): SourcesAndDest {
  requireArguments(node, 2);
  const dest = node.args.at(-1) ?? '';
  if (!node.json && parseHeredoc(dest)) {
    const word = node.value.toUpperCase();
    throw new SyntaxMistake(
      'heredoc-destination',
      `${word} takes no here-document as destination`,
      `Write ${word} ${dest} /path/of/the/file`,
    );
  }
  const sources = node.args.slice(0, -1);
  const inline = new Map(node.json ? [] : sources.map((source) => [source, inlineFile(node, source)] as const));
  return {
    sources: sources.filter((source) => inline.get(source) === undefined),
    inlineFiles: sources.map((source) => inline.get(source)).filter((file) => file !== undefined),
    dest,
    chown: flags.text('chown') || undefined,
    chmod: flags.text('chmod') || undefined,
    link: flags.bool('link') ?? false,
    exclude: flags.list('exclude'),
  };
}

function inlineFile(node: AstNode, source: string): InlineFile | undefined {
  const head = parseHeredoc(source);
  if (!head) return undefined;
  const content = node.heredocs.findLast((heredoc) => heredoc.name === head.name)?.content ?? '';
  return { path: head.name, data: head.chomp ? chomp(content) : content, expand: head.expand };
}

import type { AstNode, Heredoc } from './ast.ts';
import { SyntaxMistake } from './errors.ts';
import { createExpander } from './expand.ts';
import { trimNewline, type LineCursor } from './lines.ts';

const HEREDOC = /^(\d*)<<(-?)([^<]*)$/;
const DETACHED = /^\d*<<$/;
/** More in one instruction are refused: only an attack has them. */
const MAX_HEREDOCS = 1000;
const TAKES_HEREDOCS: readonly string[] = ['add', 'copy', 'run'];

/** A heredoc's head, before its text is read. */
export type HeredocHead = Omit<Heredoc, 'content'>;

/** Whether the instruction may be followed by here-documents. */
export function takesHeredocs(node: AstNode): boolean {
  const subject = node.nested ?? node;
  return TAKES_HEREDOCS.includes(subject.value.toLowerCase()) && !subject.json;
}

/** Reads the texts of the here-documents that `line` announces. */
export function readHeredocs(line: string, cursor: LineCursor): readonly Heredoc[] {
  return heredocsInLine(line).map((head) => ({ ...head, content: readContent(head, cursor) }));
}

/** The here-documents that a line announces, in order; those in quotes don't count. */
export function heredocsInLine(line: string): readonly HeredocHead[] {
  const split = createExpander('\\', { rawQuotes: true, rawEscapes: true, skipUnset: true });
  const words = joinDetached(split.words(line, () => undefined).words).filter((word) => HEREDOC.test(word));
  if (words.length > MAX_HEREDOCS) throw new SyntaxMistake('syntax', `it has more than ${MAX_HEREDOCS} here-documents`);
  return words.map(parseHeredoc).filter((head) => head !== undefined);
}

/**
 * A word such as `<<EOF` or `3<<-"EOF"`; undefined when it is none.
 *
 * @throws SyntaxMistake when its quotes don't match
 */
export function parseHeredoc(word: string): HeredocHead | undefined {
  const match = HEREDOC.exec(word);
  const name = match?.[3] ?? '';
  if (!match || name === '') return undefined;
  const none = (): undefined => undefined;
  const [bare, ...more] = createExpander('\\', { skipUnset: true }).words(name, none).words;
  if (bare === undefined || more.length > 0) return undefined;
  const [quoted] = createExpander('\\', { skipUnset: true, rawQuotes: true }).words(name, none).words;
  return { name: bare, fileDescriptor: Number(match[1]), expand: bare === quoted, chomp: match[2] === '-' };
}

/** `text` without the tabs at the start of its lines, as `<<-` asks for. */
export function chomp(text: string): string {
  return text.replace(/^\t+/gm, '');
}

/** `<< EOF` is one word: the mark belongs to the word after it. */
function joinDetached(words: readonly string[]): readonly string[] {
  return words.flatMap((word, index) => {
    const before = index > 0 && DETACHED.test(words[index - 1] ?? '') ? words[index - 1] : undefined;
    if (before !== undefined) return [`${before} ${word}`];
    return DETACHED.test(word) && index + 1 < words.length ? [] : [word];
  });
}

function readContent(head: HeredocHead, cursor: LineCursor): string {
  const parts: string[] = [];
  for (let line = cursor.next(); line !== undefined; line = cursor.next()) {
    const bare = trimNewline(line);
    if ((head.chomp ? bare.replace(/^\t+/, '') : bare) === head.name) return parts.join('');
    parts.push(line);
  }
  throw new SyntaxMistake(
    'syntax',
    `the here-document "${head.name}" has no end`,
    `Add a line with only ${head.name} after its text`,
  );
}

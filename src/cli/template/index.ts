import { evaluate } from './evaluate.ts';
import { type Node, type Operand, parse, type Pipe } from './parse.ts';
import { type Fields, goString } from './value.ts';

export { TemplateError } from './error.ts';
export { type Fields, goString, labelOf, withText } from './value.ts';

/** Makes text of an object. @throws {TemplateError} */
export type Template = (fields: Fields) => string;

/**
 * Reads a Go template as people use them with Docker: fields, pipelines, `if`, `with`, `range`, variables, Go's functions and Docker's. `\t` and
 * `\n` are escapes in its text.
 *
 * @throws {TemplateError} in Docker's words
 */
export function parseTemplate(text: string): Template {
  const nodes = parse(unescape(text));
  return (fields) => evaluate(nodes, fields, (name) => `map has no entry for key "${name}"`);
}

/** {@link parseTemplate} of the rows of a list, with the heads of its columns. */
export function parseRowTemplate(text: string): {
  readonly render: Template;
  readonly head: (titleOf: (field: string) => string) => string;
} {
  const nodes = parse(unescape(text));
  const missing = (name: string): string => `can't evaluate field ${name} in type *formatter.Context`;
  return {
    render: (fields) => evaluate(nodes, fields, missing),
    head: (titleOf) => {
      const names = [...new Set(nodes.flatMap(fieldsOfNode))];
      const titles = Object.fromEntries(names.map((name) => [name, titleOf(name)]));
      return evaluate(nodes.map(plain), { ...titles, Label: titleOfLabel }, missing);
    },
  };
}

/** One object by `json` or a template. */
export function renderTemplate(text: string, fields: Fields): string {
  return text === 'json' ? JSON.stringify(fields) : parseTemplate(text)(fields);
}

/** `org.example.git-rev` has the head `git rev`. */
function titleOfLabel(name: unknown): string {
  const last = goString(name).split('.').at(-1) ?? '';
  return last.replaceAll(/[-_]/g, ' ');
}

function unescape(text: string): string {
  return text.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

/** In a head, `{{json .ID}}` is the title as it is. */
function plain(node: Node): Node {
  if (node.kind !== 'print') return node;
  const commands = node.pipe.commands.map((command) =>
    command.filter((operand) => !(operand.kind === 'function' && operand.name === 'json')),
  );
  return { ...node, pipe: { ...node.pipe, commands: commands.filter((command) => command.length > 0) } };
}

function fieldsOfNode(node: Node): readonly string[] {
  if (!('pipe' in node)) return [];
  const inner = 'then' in node ? [...node.then, ...node.otherwise].flatMap(fieldsOfNode) : [];
  return [...fieldsOfPipe(node.pipe), ...inner];
}

function fieldsOfPipe({ commands }: Pipe): readonly string[] {
  return commands.flat().flatMap((operand: Operand) => {
    if (operand.kind === 'pipe') return fieldsOfPipe(operand.pipe);
    return operand.kind === 'dot' || operand.kind === 'variable' ? operand.fields.slice(0, 1) : [];
  });
}

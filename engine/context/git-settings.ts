import type { ObjectFormat } from './git-index.ts';

/** What a repository's own configuration says, as much as the index needs. */
export interface GitSettings {
  readonly format: ObjectFormat;
  /** Git goes by the executable bit of files. */
  readonly hasFileModes: boolean;
  /** Nothing here makes git store files otherwise than they are: no line ends converted, no attributes kept elsewhere. */
  readonly isVerbatim: boolean;
  /** A further file is read, that of this work tree alone. */
  readonly hasOwnConfig: boolean;
}

/** Extensions with which the index is still what we know. Another one means that only a newer git understands the repository. */
const EXTENSIONS = new Set([
  'extensions.noop',
  'extensions.objectformat',
  'extensions.partialclone',
  'extensions.preciousobjects',
  'extensions.refstorage',
  'extensions.relativeworktrees',
  'extensions.worktreeconfig',
]);

/**
 * Reads the text of `config`, the last value of a name counts. What it includes is not read: of modes the index itself
 * tells enough.
 *
 * @returns undefined when the work tree lies elsewhere, or the repository is one that we do not know
 */
export function parseGitSettings(text: string): GitSettings | undefined {
  const values = valuesOf(text);
  const isOn = (name: string): boolean => /^(?:true|yes|on|1|)$/i.test(values.get(name) ?? 'false');
  const format = (values.get('extensions.objectformat') ?? 'sha1').toLowerCase();
  const isKnown = [...values.keys()].every((name) => !name.startsWith('extensions.') || EXTENSIONS.has(name));
  if (!isKnown || values.has('core.worktree') || isOn('core.bare')) return undefined;
  if (format !== 'sha1' && format !== 'sha256') return undefined;
  return {
    format,
    // Every `git init` writes it; where it is missing somebody else made the repository.
    hasFileModes: isOn('core.filemode'),
    isVerbatim: isVerbatim(values),
    hasOwnConfig: isOn('extensions.worktreeconfig'),
  };
}

/** The files that a configuration includes, under a condition or none; one with escapes or that cannot be understood is the empty string. */
export function includesOf(text: string): readonly string[] {
  const found: string[] = [];
  let isInclude = false;
  for (const line of text.split(/\r?\n/)) {
    const header = HEADER.exec(line);
    if (header) isInclude = /^include(?:if)?$/i.test(header[1] ?? '');
    else if (/^\s*\[/.test(line)) return [''];
    const rest = header ? line.slice(header[0].length) : line;
    const [, value] = /^\s*path\s*=\s*(.*)$/i.exec(rest) ?? [];
    if (isInclude && value !== undefined) found.push(value.includes('\\') ? '' : unquoted(value));
  }
  return found;
}

/** Whether a configuration, also that of the user or the machine, leaves files as they are; undefined: nobody knows what it says. */
export function isVerbatimConfig(text: string | undefined): boolean {
  return text !== undefined && isVerbatim(valuesOf(text));
}

function isVerbatim(values: ReadonlyMap<string, string>): boolean {
  const crlf = values.get('core.autocrlf');
  return (crlf === undefined || /^false$/i.test(crlf)) && !values.has('core.eol') && !values.has('core.attributesfile');
}

/**
 * Whether attributes say nothing that makes the stored content another one; undefined: nobody knows what they say. `text` alone takes bytes away,
 * and sizes are compared.
 */
export function isVerbatimAttributes(text: string | undefined): boolean {
  return text !== undefined && !/\b(?:filter|working-tree-encoding|ident|eol|crlf)\b/.test(text);
}

const HEADER = /^\s*\[\s*([\w.-]+)\s*("(?:[^"\\]|\\.)*")?\s*\]/;

/** `section.name` in lower case to the last value; names without `=` have an empty one. Subsections are left out. */
function valuesOf(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let section = '';
  for (const line of text.split(/\r?\n/)) {
    const header = HEADER.exec(line);
    if (header) section = header[2] === undefined ? (header[1] ?? '').toLowerCase() : '';
    const rest = header ? line.slice(header[0].length) : line;
    const [, name, value = ''] = /^\s*([a-z][\w-]*)\s*(?:=\s*(.*))?$/i.exec(rest) ?? [];
    if (name !== undefined && section !== '') values.set(`${section}.${name.toLowerCase()}`, unquoted(value));
  }
  return values;
}

function unquoted(value: string): string {
  return value
    .replace(/\s+[#;].*$/, '')
    .trim()
    .replace(/^"(.*)"$/, '$1');
}

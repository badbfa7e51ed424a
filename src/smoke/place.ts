import {
  LineCounter,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  parseDocument,
  visit,
  type Document,
  type Node,
  type Tags,
} from 'yaml';
import { messageOf, type SourceLocation } from '../../engine/index.ts';
import { nodeAt } from './yaml-node.ts';

/** Keys and indexes from the top of a document. */
export type Path = readonly (string | number)[];

/** A location with its column, from 1. */
export interface Place extends SourceLocation {
  readonly column: number;
}

/** A YAML text, and where its parts stand. */
export interface PlacedYaml {
  readonly value: unknown;
  readonly problems: readonly { readonly message: string; readonly place: Place }[];
  /** Where the value at `path` begins; `key: true` gives the place of its key instead. */
  locate(path: Path, options?: { readonly key?: boolean }): Place;
  /** A scalar as it was written, without its quotes: `1.10` stays what it is; aliases and merges are followed. Undefined where there is none. */
  textOf(path: Path): string | undefined;
}

/**
 * Reads one YAML document: aliases are bounded, tags are refused, keys are unique.
 *
 * @param version 1.1 for the files of tools that read `yes` as true and know `<<`; dates stay text all the same
 */
export function parsePlacedYaml(text: string, file: string, version: '1.1' | '1.2' = '1.2'): PlacedYaml {
  const lines = new LineCounter();
  const customTags = version === '1.2' ? [] : plainTags;
  const options = { lineCounter: lines, prettyErrors: false, strict: true, customTags, version } as const;
  const document = parseDocument(text, options);
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, startLine: line, endLine: line, column: col, excerpt: excerptOf(text, line) };
  };
  const errors = [...document.errors, ...document.warnings];
  const problems = errors.map(({ message, pos }) => ({ message: firstLine(message), place: at(pos[0]) }));
  problems.push(...notPlain(document).map(({ message, offset }) => ({ message, place: at(offset) })));
  const value =
    problems.length > 0 ? undefined : toValue(document, (message) => problems.push({ message, place: at(0) }));
  return {
    value,
    problems,
    locate: (path, options = {}) => at(offsetOf(document, path, options.key ?? false)),
    textOf: (path) => {
      const node = nodeAt(document, path);
      if (!isScalar(node)) return undefined;
      return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    },
  };
}

/** Of YAML 1.1 without dates, binaries and sets. */
function plainTags(tags: Tags): Tags {
  return tags.filter((tag) => typeof tag !== 'object' || !/2002:(?:timestamp|binary|set|omap|pairs)$/.test(tag.tag));
}

/**
 * Keys that are no text, of which the parser would make some and warn on the terminal, and values of tags such as `!!binary` and `!!set`, which
 * it takes by their full names whatever the schema is, and of which JSON has none.
 */
function notPlain(document: Document.Parsed): readonly { readonly message: string; readonly offset: number }[] {
  const found: { message: string; offset: number }[] = [];
  visit(document, {
    Pair(_, { key }) {
      const meant = isAlias(key) ? key.resolve(document) : key;
      if (isCollection(meant))
        found.push({ message: 'a key is a list or a mapping, and only text can be one', offset: offsetAt(key) });
    },
    Value(_, node) {
      if (node.tag !== undefined && !PLAIN_TAG.test(node.tag))
        found.push({ message: `the tag ${node.tag} is not taken`, offset: offsetAt(node) });
    },
  });
  return found;
}

/** Those of JSON's values, and the one that only says that a value is text. */
const PLAIN_TAG = /^(?:!|tag:yaml\.org,2002:(?:str|int|float|bool|null|seq|map|merge))$/;

function offsetAt(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

/** Aliases that multiply would fill the memory; the parser counts them only when it makes the value. */
function toValue(document: Document.Parsed, onProblem: (message: string) => void): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    onProblem(firstLine(messageOf(error)));
    return undefined;
  }
}

/** The nearest thing that has a place: a value that is missing is where its parent is. */
function offsetOf(document: Document.Parsed, path: Path, key: boolean): number {
  if (key && path.length > 0) {
    const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    const name = path.at(-1);
    const pair = isMap(parent)
      ? parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === name)
      : undefined;
    if (pair !== undefined && isScalar(pair.key) && pair.key.range) return pair.key.range[0];
  }
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true) as Node | undefined;
    if (node?.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function excerptOf(text: string, line: number): string {
  const all = text.split(/\r?\n/);
  const first = Math.max(1, line - 2);
  return all
    .slice(first - 1, line + 1)
    .map((content, index) => `${first + index === line ? '>' : ' '} ${String(first + index).padStart(3)} | ${content}`)
    .join('\n');
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}

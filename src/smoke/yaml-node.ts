import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type YAMLMap } from 'yaml';

/**
 * The node at `path` as a reader of the document's value sees it: aliases are what they stand for, and a key that a mapping does not have itself
 * is looked for in what `<<` merges into it.
 *
 * @returns undefined where there is none
 */
export function nodeAt(document: Document.Parsed, path: readonly (string | number)[]): Node | undefined {
  let node = resolve(document.contents, document);
  for (const name of path) node = resolve(memberOf(node, name, document), document);
  return node;
}

/** Aliases of aliases do not exist, but what one stands for is looked up among what comes before it. */
function resolve(node: unknown, document: Document.Parsed): Node | undefined {
  if (isAlias(node)) return node.resolve(document);
  return node === null || node === undefined ? undefined : (node as Node);
}

function memberOf(node: Node | undefined, name: string | number, document: Document.Parsed, depth = 0): unknown {
  if (isSeq(node)) return typeof name === 'number' ? node.items[name] : undefined;
  // A merge of itself has no value, and the parser has said so.
  if (!isMap(node) || depth > MAX_MERGES) return undefined;
  const own = node.items.find(({ key }) => keyOf(key, document) === String(name));
  if (own !== undefined) return own.value;
  for (const merged of mergedInto(node, document)) {
    const found = memberOf(merged, name, document, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

const MAX_MERGES = 100;

function keyOf(key: unknown, document: Document.Parsed): string | undefined {
  const node = resolve(key, document);
  if (!isScalar(node) || typeof node.value === 'symbol') return undefined;
  return typeof node.value === 'string' ? node.value : JSON.stringify(node.value);
}

/** The parser marks a `<<` that merges by a symbol; the first mapping that has a key gives it. */
function mergedInto(map: YAMLMap, document: Document.Parsed): readonly (Node | undefined)[] {
  return map.items
    .filter(({ key }) => isScalar(key) && typeof key.value === 'symbol')
    .map(({ value }) => resolve(value, document))
    .flatMap((value) => (isSeq(value) ? value.items.map((item) => resolve(item, document)) : [value]));
}

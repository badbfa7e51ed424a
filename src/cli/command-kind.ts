/** What most decides which functions a command line calls. */
export interface CommandKind {
  /** `run`, `image-ls`, or `berth` where there is no command in it. */
  readonly command: string;
  /** A number for the names of its options, in hexadecimal: nothing that was typed can be read from it. */
  readonly options: string;
}

/** Finds the kind of a command line without knowing the commands: two that it takes for one, or one for two, only take more time. */
export function kindOf(words: readonly string[]): CommandKind {
  const first = words.findIndex((word) => WORD.test(word));
  const [group = '', second = ''] = words.slice(Math.max(first, 0));
  const command = GROUPS.has(group) && WORD.test(second) ? `${group}-${second}` : group;
  // Of a word with one dash the first letter: what follows may be the value.
  const options = words
    .map((word) => /^(?:-[a-zA-Z]|--[a-z-]+(?=$|=))/.exec(word)?.[0])
    .filter((name) => name !== undefined);
  return { command: first < 0 ? 'berth' : command, options: numberOf([...new Set(options)].sort().join(' ')) };
}

const WORD = /^[a-z]{2,12}$/;
const GROUPS = new Set(['container', 'image', 'network', 'volume', 'system', 'builder', 'registry']);

/** FNV-1a of 32 bits, in hexadecimal: a real hash takes longer to load than it saves. */
export function numberOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash.toString(16);
}

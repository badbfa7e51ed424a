import { joinBytes } from './bytes.ts';
import type { Tree } from './listing.ts';

/** As many links as the kernel follows. */
const MAX_LINKS = 40;
const SLASH = 0x2f;

/**
 * Where a path of the context leads when its links are followed inside the context, which is the root of all of them. A final link whose
 * target is not in the context stays a link: bytes of the host are never reached.
 *
 * @returns the real path; undefined when nothing is there
 */
export function followLinks(tree: Tree, path: Buffer): Buffer | undefined {
  let pending = splitPath(path);
  /** How many of the pending names come from links. */
  let borrowed = 0;
  let real: readonly Buffer[] = [];
  let finalLink: Buffer | undefined;
  for (let links = 0; ;) {
    const [name, ...rest] = pending;
    if (!name) return toPath(real);
    const isOwn = borrowed === 0;
    borrowed = Math.max(0, borrowed - 1);
    pending = rest;
    const next = step(real, name);
    const entry = tree.get(toPath(next));
    if (next.length > 0 && !entry) return finalLink;
    if (entry?.type !== 'symlink') {
      real = next;
      continue;
    }
    if (isOwn && rest.length === 0) finalLink = toPath(next);
    links += 1;
    if (links > MAX_LINKS) return finalLink;
    const target = entry.linkTarget ?? Buffer.alloc(0);
    const names = splitPath(target);
    if (target[0] === SLASH) real = [];
    pending = [...names, ...rest];
    borrowed += names.length;
  }
}

function step(real: readonly Buffer[], name: Buffer): readonly Buffer[] {
  if (name.equals(Buffer.from('..'))) return real.slice(0, -1);
  return [...real, name];
}

function splitPath(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  let start = 0;
  while (start <= path.length) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    const name = path.subarray(start, end);
    if (name.length > 0 && !name.equals(Buffer.from('.'))) names.push(name);
    start = end + 1;
  }
  return names;
}

function toPath(names: readonly Buffer[]): Buffer {
  return names.reduce<Buffer>((path, name) => joinBytes(path, name), Buffer.alloc(0));
}

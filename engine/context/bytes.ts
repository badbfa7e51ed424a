/** `a` before `b` by their bytes. */
export function compareBytes(a: Buffer, b: Buffer): number {
  return Buffer.compare(a, b);
}

const SLASH = Buffer.from('/');

/** A path one name longer; an empty one is the root. */
export function joinBytes(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, SLASH, name]);
}

/** A key of a path for maps: one character a byte, so that names that are no UTF-8 stay apart. */
export function keyOf(path: Buffer): string {
  return path.toString('latin1');
}

/** The path of a {@link keyOf}. */
export function fromKey(key: string): Buffer {
  return Buffer.from(key, 'latin1');
}

/** The last name of a path. */
export function baseName(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf('/') + 1);
}

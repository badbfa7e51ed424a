import { createHash, type Hash } from 'node:crypto';
import type { Hashes } from './hashes.ts';
import type { Selected } from './types.ts';

const CONTENT = 'berth.context.v2';
const SHAPE = 'berth.context-shape.v1';

/** How {@link digestSelection} behaves. */
export interface DigestOptions {
  /** `--chmod`: takes the place of the files' own modes. */
  readonly mode?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Digest of what a COPY takes: places, types, modes, link targets and bytes, each framed by its length; no times, no owners.
 *
 * @returns `sha256:` and hex
 */
export async function digestSelection(
  selected: readonly Selected[],
  hashes: Hashes,
  options: DigestOptions,
): Promise<string> {
  const files = selected.filter(({ entry }) => entry.type === 'file');
  const contents = await hashes.of(
    files.map(({ entry }) => entry),
    { signal: options.signal },
  );
  const byFile = new Map(files.map((file, index) => [file, contents[index] ?? '']));
  return digestOf(CONTENT, selected, options, (one) => byFile.get(one) ?? '');
}

/**
 * The same but for the bytes: what can be told without reading a file.
 *
 * @returns `sha256:` and hex
 */
export function shapeOfSelection(selected: readonly Selected[], options: DigestOptions): string {
  return digestOf(SHAPE, selected, options, () => '');
}

function digestOf(
  version: string,
  selected: readonly Selected[],
  { mode }: DigestOptions,
  contentOf: (one: Selected) => string,
): string {
  const hash = createHash('sha256');
  frame(hash, Buffer.from(version));
  for (const one of selected) addRecord(hash, one, { content: contentOf(one), mode });
  return `sha256:${hash.digest('hex')}`;
}

function addRecord(
  hash: Hash,
  { entry, dest }: Selected,
  { content, mode }: { readonly content: string; readonly mode: number | undefined },
): void {
  // A link has no mode of its own: what lstat tells differs between systems.
  const shownMode = entry.type === 'symlink' ? '' : (mode ?? entry.mode).toString(8);
  const size = entry.type === 'file' ? String(entry.size) : '';
  for (const field of [dest, entry.type, shownMode, size, entry.linkTarget ?? '', content])
    frame(hash, Buffer.from(field));
}

function frame(hash: Hash, bytes: Buffer): void {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  hash.update(length).update(bytes);
}

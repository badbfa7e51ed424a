// The cases of data/conformance-dev: their contexts on disk, and how two images of one case are compared.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, lchownSync, lutimesSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ImageTree, TreeEntry } from './image-tree.ts';

/** A case, as the table has it. */
export interface ConformanceCase {
  readonly id: string;
  readonly dockerfile: string;
  readonly dockerfile_path: string;
  readonly context: readonly ContextEntry[];
  readonly build_args?: Readonly<Record<string, string>>;
  readonly must_fail_at_line?: number;
  readonly fs_skip: readonly string[];
  readonly notes?: readonly string[];
  readonly flags?: readonly string[];
}

interface ContextEntry {
  readonly path: string;
  readonly type: 'file' | 'dir' | 'symlink' | 'hardlink';
  readonly mode?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly target?: string;
  readonly content?: string;
  readonly content_base64?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** The table. */
export interface ConformanceTable {
  readonly fixed_mtime: number;
  readonly fs_skip_always: readonly string[];
  readonly cases: readonly ConformanceCase[];
}

/** Writes the context of a case into an empty directory; times of directories last, since what is made in them changes them. */
export function writeContext(folder: string, { context, notes = [] }: ConformanceCase, fixedTime: number): void {
  for (const entry of context) writeEntry(folder, entry);
  if (notes.some((note) => note.includes('static program named true'))) {
    copyFileSync('/bin/busybox', join(folder, 'true'));
    chmodSync(join(folder, 'true'), 0o755);
  }
  for (const { path, mtime = fixedTime } of [...context].reverse()) lutimesSync(join(folder, path), mtime, mtime);
}

function writeEntry(folder: string, entry: ContextEntry): void {
  const path = join(folder, entry.path);
  mkdirSync(dirname(path), { recursive: true });
  if (entry.type === 'dir') mkdirSync(path, { recursive: true });
  else if (entry.type === 'symlink') symlinkSync(entry.target ?? '', path);
  else writeFileSync(path, contentOf(entry));
  lchownSync(path, entry.uid ?? 0, entry.gid ?? 0);
  if (entry.type !== 'symlink' && entry.mode !== undefined) chmodSync(path, Number.parseInt(entry.mode, 8));
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) {
    execFileSync('setfattr', ['-n', name, '-v', value, path]);
  }
}

function contentOf({ content, content_base64 }: ContextEntry): Buffer {
  return content_base64 === undefined ? Buffer.from(content ?? '') : Buffer.from(content_base64, 'base64');
}

/** When this process began, in seconds. */
const STARTED = Math.floor(Date.now() / 1000 - process.uptime());

/** Keys of a configuration that differ between any two builds. */
const CONFIG_SKIP: readonly string[] = ['created', 'history', 'rootfs', 'moby.buildkit.buildinfo.v1'];

/**
 * What differs between our image and Docker's, a line each: `path: attribute ours docker's`.
 *
 * @param skip attributes and entries to leave out, in the table's form `(dir):a:(dir):b:mtime`
 */
export function differences(ours: ImageTree, theirs: ImageTree, skip: readonly string[]): readonly string[] {
  const skipped = new Set(skip.map(pathOfSkip));
  const paths = [...new Set([...ours.tree.keys(), ...theirs.tree.keys()])].sort();
  const files = paths
    .filter((path) => !skipped.has(path))
    .flatMap((path) =>
      differencesOf(path, ours.tree.get(path), theirs.tree.get(path)).filter(
        ({ key }) => !skipped.has(`${path}:${key}`),
      ),
    );
  return [...files.map(({ line }) => line), ...configDifferences(ours.config, theirs.config)];
}

function pathOfSkip(text: string): string {
  const parts = text.split(':').filter((part) => part !== '(dir)');
  return parts.at(-1) === 'mtime' ? `${parts.slice(0, -1).join('/')}:mtime` : parts.join('/');
}

interface Difference {
  readonly key: string;
  readonly line: string;
}

function differencesOf(path: string, a: TreeEntry | undefined, b: TreeEntry | undefined): readonly Difference[] {
  if (!a || !b) return [{ key: '', line: `${path}: ${a ? 'only in ours' : "only in Docker's"}` }];
  const keys = Object.keys(a) as (keyof TreeEntry)[];
  return keys
    .filter((key) => shown(a, key) !== shown(b, key))
    .map((key) => ({ key, line: `${path}: ${key} ${shown(a, key)}, Docker's ${shown(b, key)}` }));
}

/** A time of this run is said as what it is, so that a difference reads the same tomorrow. */
function shown(entry: TreeEntry, key: keyof TreeEntry): string {
  return key === 'mtime' && entry.mtime >= STARTED ? 'that of the build' : String(entry[key]);
}

function configDifferences(a: ImageTree['config'], b: ImageTree['config']): readonly string[] {
  const [ours, theirs] = [flat(a), flat(b)];
  const keys = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
  return keys
    .filter((key) => ours.get(key) !== theirs.get(key))
    .map((key) => `config ${key}: ${ours.get(key) ?? 'absent'}, Docker's ${theirs.get(key) ?? 'absent'}`);
}

/** Keys at the top, and those of `config`, with their values; empty ones are as absent ones. */
function flat(document: ImageTree['config']): ReadonlyMap<string, string> {
  const { config, ...top } = document;
  const inner = Object.entries(config ?? {}).map(([key, value]) => [`config.${key}`, value] as const);
  const kept = [...Object.entries(top), ...inner].filter(([key]) => !CONFIG_SKIP.includes(key));
  return new Map(kept.filter(([, value]) => !isEmpty(value)).map(([key, value]) => [key, sorted(value)]));
}

function isEmpty(value: unknown): boolean {
  return (
    value === null ||
    value === '' ||
    value === false ||
    JSON.stringify(value) === '[]' ||
    JSON.stringify(value) === '{}'
  );
}

function sorted(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))));
}

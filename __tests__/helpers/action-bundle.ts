import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { bundle } from '../../scripts/bundle.mjs';

/** The Action as it is shipped. */
export interface ActionBundle {
  /** Path that `main` and `post` of action.yml would name. */
  readonly script: string;
  /** It is the committed file itself; otherwise the same made anew, since the sources have changed since. */
  readonly committed: boolean;
  readonly remove: () => Promise<void>;
}

const COMMITTED = resolve(import.meta.dirname, '../../dist');
const FOLDERS = ['action', 'cli'];

/** `dist/action` when it is what the sources at hand give, byte for byte; else a bundle of them, made in the same way as dist/. */
export async function bundleAction(): Promise<ActionBundle> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-action-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  await bundle(folder);
  const same = FOLDERS.map((name) => isSameFolder(join(folder, name), join(COMMITTED, name)));
  const committed = (await Promise.all(same)).every(Boolean);
  if (!committed) return { script: join(folder, 'action/index.js'), committed, remove };
  await remove();
  return { script: join(COMMITTED, 'action/index.js'), committed, remove: async () => undefined };
}

async function isSameFolder(one: string, other: string): Promise<boolean> {
  const [names = [], others = []] = await Promise.all([one, other].map((folder) => readdir(folder).catch(() => [])));
  if (names.sort().join('\n') !== others.sort().join('\n')) return false;
  return (await Promise.all(names.map((name) => isSame(join(one, name), join(other, name))))).every(Boolean);
}

async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => readFile(path).catch(() => Buffer.alloc(0))));
  return a !== undefined && b !== undefined && a.length > 0 && a.equals(b);
}

// The files of an image from a record, for rules that look at files: no image, no helper.
import { posix } from 'node:path';
import { EngineError, type ImageFiles, type LookedFile } from '../../engine/index.ts';

/** A file by its content, or anything else. */
export type MemoryFile =
  | string
  | Buffer
  | {
      readonly content?: string | Buffer;
      readonly link?: string;
      readonly directory?: boolean;
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
    };

/** Folders on the way to a file are there by themselves. */
export function memoryFiles(record: Readonly<Record<string, MemoryFile>>): ImageFiles {
  const entries = new Map<string, Exclude<MemoryFile, string | Buffer>>([['/', { directory: true }]]);
  for (const [path, file] of Object.entries(record)) {
    for (let at = posix.dirname(path); at !== '/'; at = posix.dirname(at)) {
      if (!entries.has(at)) entries.set(at, { directory: true });
    }
    entries.set(path, typeof file === 'string' || Buffer.isBuffer(file) ? { content: file } : file);
  }
  const resolve = (path: string, follow: boolean, hops = 0): string | undefined => {
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    let here = '/';
    for (const [index, name] of names.entries()) {
      here = posix.join(here, name);
      const entry = entries.get(here);
      if (entry === undefined || hops > 40) return undefined;
      if (entry.link === undefined || (!follow && index === names.length - 1)) continue;
      const target = posix.resolve(posix.dirname(here), entry.link);
      return resolve(posix.join(target, ...names.slice(index + 1)), follow, hops + 1);
    }
    return entries.has(here) ? here : undefined;
  };
  const lookAt = (asked: string, follow: boolean, list: boolean): LookedFile | undefined => {
    const path = resolve(asked, follow);
    const entry = path === undefined ? undefined : entries.get(path);
    if (path === undefined || entry === undefined) return undefined;
    const kind = entry.link === undefined ? (entry.directory ? 'directory' : 'file') : 'link';
    const names = [...entries.keys()].filter((one) => one !== path && posix.dirname(one) === path);
    return {
      path,
      kind,
      mode: entry.mode ?? (kind === 'directory' ? 0o755 : 0o644),
      uid: entry.uid ?? 0,
      gid: entry.gid ?? 0,
      size: Buffer.from(entry.content ?? '').length,
      target: entry.link,
      names: list && kind === 'directory' ? names.map((one) => posix.basename(one)).sort() : undefined,
    };
  };
  return {
    look: async (paths, { follow = false, list = false } = {}) => paths.map((path) => lookAt(path, follow, list)),
    read: async (path, { maxBytes }) => {
      const found = resolve(path, true);
      const entry = found === undefined ? undefined : entries.get(found);
      if (entry === undefined) throw new EngineError('NATIVE_NOT_FOUND', `Cannot read ${path}: there is no such file`);
      if (entry.directory)
        throw new EngineError('NATIVE_INVALID', `Cannot read ${path}: a directory is no regular file`);
      return Buffer.from(entry.content ?? '').subarray(0, maxBytes);
    },
    user: async (user) => {
      if (/^[a-z]/.test(user) && user !== 'root')
        throw new EngineError('USER_NOT_FOUND', `Cannot run as "${user}": unable to find user ${user}`);
      const uid = /^\d/.test(user) ? Number.parseInt(user, 10) : 0;
      return { uid, gid: uid, additionalGids: [uid] };
    },
  };
}

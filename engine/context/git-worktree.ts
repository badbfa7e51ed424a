import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { accountHome } from '../base/account-home.ts';
import { fromKey, joinBytes, keyOf } from './bytes.ts';
import { parseGitIndex, type GitIndex, type IndexedFile, type ObjectFormat } from './git-index.ts';
import {
  includesOf,
  isVerbatimAttributes,
  isVerbatimConfig,
  parseGitSettings,
  type GitSettings,
} from './git-settings.ts';
import { readRegularFile } from './regular.ts';
import type { ContextEntry } from './types.ts';

/** What git knows of the files of a context that lies in a work tree. */
export interface WorkTree {
  readonly format: ObjectFormat;
  /** Git goes by the executable bit of files. */
  readonly hasFileModes: boolean;
  /** The file as the index has it; undefined where git does not track it or would not look at it. */
  find(entry: ContextEntry): IndexedFile | undefined;
  /** The file has not been touched since git looked at it: what is in the index is what is on the disk. */
  isUntouched(entry: ContextEntry, file: IndexedFile): boolean;
  /** Nothing makes git store the file otherwise than it is, as far as anybody can tell. */
  isVerbatim(entry: ContextEntry): boolean;
}

/** What the environment says of git, told by whoever reads it. */
export interface GitTrust {
  /** The user who has called through sudo: what belongs to him is believed where this process is root's, as git does. */
  readonly sudoUid?: number | undefined;
  /** Git's configuration is not only where it always is: then nobody knows what it says. */
  readonly isConfigElsewhere?: boolean | undefined;
}

/** The longest index that is read: some two million files. */
const MAX_INDEX = 256 * 1024 * 1024;
const MAX_TEXT = 1024 * 1024;
const QUIET = { code: 'CONTEXT_INVALID', act: 'read', limit: MAX_TEXT };
const LOW = 0xffff_ffffn;

/**
 * The work tree of git that holds a folder. All of it is read, never executed: no git is run, and nothing is written.
 *
 * @param root real path of the folder
 * @returns undefined when there is none, it belongs to somebody else, or it is one of which this reader is not sure
 */
export async function openWorkTree(root: string, trust: GitTrust = {}): Promise<WorkTree | undefined> {
  try {
    const place = await findRepository(root);
    if (!place || !isOurs(place, trust)) return undefined;
    const settings = await readSettings(place);
    const file = settings && (await readIndexFile(join(place.gitDir, 'index'), trust));
    const index = file && parseGitIndex(file.bytes, settings.format);
    return index && createTree(root, { place, settings, index, writtenNs: file.mtimeNs, trust });
  } catch {
    // What cannot be read does not help; the files of the context tell themselves.
    return undefined;
  }
}

/** Where a work tree begins, and where its repository lies. */
interface Place {
  readonly top: string;
  /** Of this work tree: the index. */
  readonly gitDir: string;
  /** Of all work trees: the configuration. */
  readonly commonDir: string;
}

async function findRepository(root: string): Promise<Place | undefined> {
  for (let top = root; ; top = dirname(top)) {
    const stat = statSync(join(top, '.git'), { throwIfNoEntry: false });
    if (stat) {
      const gitDir = stat.isDirectory() ? join(top, '.git') : await linkedFolder(top);
      if (gitDir === undefined) return undefined;
      const common = await readText(join(gitDir, 'commondir'));
      return { top, gitDir, commonDir: common === undefined ? gitDir : resolve(gitDir, common.trimEnd()) };
    }
    if (top === dirname(top)) return undefined;
  }
}

/**
 * Whether all of it belongs to us, as git asks (git-config(1), safe.directory): what is found on the way up may be another's, in `/tmp` for
 * one, and its index would tell what he likes of our files.
 */
function isOurs({ top, gitDir, commonDir }: Place, trust: GitTrust): boolean {
  const links = [top, join(top, '.git')].map((path) => lstatSync(path));
  return [...links, ...[gitDir, commonDir].map((path) => statSync(path))].every(({ uid }) => isOwner(uid, trust));
}

function isOwner(uid: number, { sudoUid }: GitTrust): boolean {
  const own = process.geteuid?.() ?? 0;
  return uid === own || (own === 0 && uid === sudoUid);
}

/** A further work tree or a submodule has a file that says where its repository lies. */
async function linkedFolder(top: string): Promise<string | undefined> {
  const target = /^gitdir: (.+?)\n*$/s.exec((await readText(join(top, '.git'))) ?? '')?.[1];
  return target === undefined ? undefined : resolve(top, target);
}

async function readSettings({ gitDir, commonDir }: Place): Promise<GitSettings | undefined> {
  const text = (await readText(join(commonDir, 'config'))) ?? '';
  const settings = parseGitSettings(text);
  if (!settings?.hasOwnConfig) return settings;
  return parseGitSettings(`${text}\n${(await readText(join(gitDir, 'config.worktree'))) ?? ''}`);
}

/** A new index takes the place of the old one, so that what is open stays as it is. */
async function readIndexFile(
  path: string,
  trust: GitTrust,
): Promise<{ readonly bytes: Buffer; readonly mtimeNs: bigint } | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile() || stat.size > MAX_INDEX || !isOwner(Number(stat.uid), trust)) return undefined;
    return { bytes: await handle.readFile(), mtimeNs: stat.mtimeNs };
  } finally {
    await handle.close();
  }
}

async function readText(path: string): Promise<string | undefined> {
  return (await readRegularFile(path, QUIET))?.toString('utf8');
}

interface Known {
  readonly place: Place;
  readonly settings: GitSettings;
  readonly index: GitIndex;
  /** When the index was written. */
  readonly writtenNs: bigint;
  readonly trust: GitTrust;
}

function createTree(root: string, { place, settings, index, writtenNs, trust }: Known): WorkTree {
  const prefix = Buffer.from(relative(place.top, root));
  const keyIn = ({ path }: ContextEntry): string => keyOf(joinBytes(prefix, path));
  const verbatim = createVerbatim(place.top, index);
  let isVerbatimElsewhere: boolean | undefined;
  return {
    format: settings.format,
    hasFileModes: settings.hasFileModes,
    find: (entry) => (entry.type === 'file' ? index.files.get(keyIn(entry)) : undefined),
    isUntouched: (entry, file) =>
      // As git: a file as young as the index may have changed after git looked at it.
      entry.mtimeNs < writtenNs &&
      file.mtimeNs === entry.mtimeNs &&
      file.ctimeNs === entry.ctimeNs &&
      BigInt(file.inode) === (entry.inode & LOW) &&
      BigInt(file.size) === (BigInt(entry.size) & LOW) &&
      // Git writes no size for a file that it must look at again.
      file.size > 0,
    isVerbatim: (entry) => {
      isVerbatimElsewhere ??= settings.isVerbatim && !trust.isConfigElsewhere && isVerbatimAround(place);
      return isVerbatimElsewhere && verbatim(folderOf(keyIn(entry)));
    },
  };
}

/** Asks the attributes of a folder and of those above it, up to the top; each file is read once. */
function createVerbatim(top: string, index: GitIndex): (folder: string) => boolean {
  const known = new Map<string, boolean>();
  const isVerbatim = (folder: string): boolean => {
    const found = known.get(folder);
    if (found !== undefined) return found;
    const key = folder === '' ? '.gitattributes' : `${folder}/.gitattributes`;
    const file = readSmallText(Buffer.concat([Buffer.from(`${top}/`), fromKey(key)]), constants.O_NOFOLLOW);
    // Git takes those of the index where the file is missing.
    const isHere = file === 'missing' ? !index.attributes.has(key) : isVerbatimAttributes(file?.text);
    const isSo = isHere && (folder === '' || isVerbatim(folderOf(folder)));
    known.set(folder, isSo);
    return isSo;
  };
  return isVerbatim;
}

function folderOf(key: string): string {
  return key.slice(0, Math.max(key.lastIndexOf('/'), 0));
}

/** Attributes of the repository, and attributes and configuration of the machine and of the user whose process this is. */
function isVerbatimAround({ gitDir, commonDir }: Place): boolean {
  const home = accountHome();
  if (home === undefined) return false;
  const attributes = [join(commonDir, 'info/attributes'), '/etc/gitattributes', join(home, '.config/git/attributes')];
  const ofUser = [join(home, '.gitconfig'), join(home, '.config/git/config')];
  const configs = [join(commonDir, 'config'), join(gitDir, 'config.worktree'), '/etc/gitconfig', ...ofUser];
  const isSo = (path: string, says: (text: string | undefined) => boolean): boolean => {
    const file = readSmallText(Buffer.from(path), 0);
    return file === 'missing' || says(file?.text);
  };
  return (
    attributes.every((path) => isSo(path, isVerbatimAttributes)) &&
    configs.every((path) => isVerbatimTree(path, home, MAX_INCLUDES))
  );
}

/** How deep configurations may include others; git's own limit is 10. */
const MAX_INCLUDES = 5;

/** A configuration and all that it includes, whatever the condition; git passes over what is missing. */
function isVerbatimTree(path: string, home: string, depth: number): boolean {
  const file = readSmallText(Buffer.from(path), 0);
  if (file === 'missing') return true;
  if (depth === 0 || !isVerbatimConfig(file?.text)) return false;
  return includesOf(file?.text ?? '').every((value) => {
    const included = value.startsWith('~/') ? join(home, value.slice(2)) : value;
    // Another's home, or the place where git is installed.
    if (/^[~%]/.test(included) || included === '') return false;
    return isVerbatimTree(isAbsolute(included) ? included : join(dirname(path), included), home, depth - 1);
  });
}

/** The text of a regular file; undefined for what is there and cannot be read as one. */
function readSmallText(path: Buffer, flags: number): { readonly text: string } | 'missing' | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | flags);
    const stat = fstatSync(file);
    return stat.isFile() && stat.size <= MAX_TEXT ? { text: readFileSync(file, 'utf8') } : undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

import { posix } from 'node:path';
import type { ContainerConfig, ImageFiles, LookedFile } from '../../../engine/index.ts';
import { variablesOf } from './expand.ts';

/** What is looked for in an image, and as whom. */
export interface Place {
  readonly files: ImageFiles;
  readonly config: ContainerConfig;
  /** Whom the program is run as; undefined when the image names somebody that it does not know. */
  readonly who?: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] } | undefined;
}

/** A program that was found, or why there is none. */
export type Program = { readonly file: LookedFile } | { readonly problem: string };

/** Where runtimes look when the image has no PATH. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The program of a command's first word, found as a runtime finds it: a path as it is, relative to WORKDIR; a name in PATH. */
export async function findProgram(name: string, { files, config, who }: Place): Promise<Program> {
  const folders = (variablesOf(config.Env ?? []).get('PATH') ?? DEFAULT_PATH).split(':');
  const workdir = config.WorkingDir || '/';
  const candidates = name.includes('/')
    ? [posix.resolve('/', workdir, name)]
    : folders.map((folder) => posix.resolve('/', workdir, folder, name));
  const found = (await files.look([...new Set(candidates)], { follow: true })).filter((file) => file !== undefined);
  const file = found.find((one) => one.kind === 'file' && mayExecute(one, who));
  if (file !== undefined) return { file };
  const [other] = found;
  if (other === undefined)
    return {
      problem: name.includes('/')
        ? `${candidates[0] ?? name} is not in the image`
        : `${name} is in no folder of PATH (${folders.join(':')})`,
    };
  if (other.kind !== 'file') return { problem: `${other.path} is a ${other.kind}, and no program` };
  return {
    problem: `${other.path} may not be executed by uid ${who?.uid ?? 0} (mode ${(other.mode & 0o7777).toString(8)}, owner ${other.uid}:${other.gid})`,
  };
}

/** As the kernel decides it: root needs any of the bits, others the one of the class that they are in. */
function mayExecute({ mode, uid, gid }: LookedFile, who: Place['who']): boolean {
  if (who === undefined || who.uid === 0) return (mode & 0o111) !== 0;
  if (who.uid === uid) return (mode & 0o100) !== 0;
  const isInGroup = who.gid === gid || who.additionalGids.includes(gid);
  return (mode & (isInGroup ? 0o010 : 0o001)) !== 0;
}

import { posix } from 'node:path';
import { isEngineError, type ImageFiles } from '../../../engine/index.ts';
import { parseElf, type Elf } from './elf.ts';
import { variablesOf } from './expand.ts';
import { isDriverLibrary } from './nvidia.ts';

/** Bytes of a program or library that are read. */
const MAX_PROGRAM = 64 << 20;
/** Libraries that are followed. */
const MAX_LIBRARIES = 100;

const DEFAULT_FOLDERS = ['/lib', '/usr/lib', '/lib64', '/usr/lib64', '/usr/local/lib'];
const MULTIARCH: Readonly<Record<string, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  arm: 'arm-linux-gnueabihf',
  ia32: 'i386-linux-gnu',
};

/**
 * The shared libraries that a program asks for, itself or through others, and that are nowhere where its loader looks: those folders that it names,
 * LD_LIBRARY_PATH, the loader's configuration, and the usual ones. A name that stands in the loader's cache counts as found, and so does what is
 * one with the loader.
 *
 * @returns a sentence for each; none where nothing can be said. Those that the driver of a GPU brings are told apart
 */
export async function missingLibraries(
  path: string,
  elf: Elf,
  { files, env }: { readonly files: ImageFiles; readonly env: readonly string[] },
): Promise<{ readonly missing: readonly string[]; readonly ofDriver: readonly string[] }> {
  const configured = await configuredFolders(files);
  const known = await loaderCache(files);
  const given = (variablesOf(env).get('LD_LIBRARY_PATH') ?? '').split(/[:;]/).filter((folder) => folder !== '');
  const multiarch = MULTIARCH[elf.machine];
  const usual = DEFAULT_FOLDERS.flatMap((folder) => [folder, ...(multiarch ? [`${folder}/${multiarch}`] : [])]);
  const open: (readonly [path: string, elf: Elf, inherited: readonly string[]])[] = [[path, elf, []]];
  const seen = new Set<string>();
  const missing: string[] = [];
  const ofDriver: string[] = [];
  for (let item = open.shift(); item !== undefined && seen.size < MAX_LIBRARIES; item = open.shift()) {
    const [at, { needed = [], runPath }, inherited] = item;
    const own = [...inherited, ...runPath.map((folder) => withOrigin(folder, at))];
    for (const name of needed.filter((one) => !seen.has(one) && !OF_LOADER.test(one))) {
      seen.add(name);
      const folders = [...own, ...given, ...configured, ...usual];
      const candidates = name.includes('/') ? [name] : folders.map((folder) => posix.resolve('/', folder, name));
      const found = (await files.look([...new Set(candidates)], { follow: true })).find(
        (file) => file?.kind === 'file',
      );
      const library = found && parseElf(await head(found.path, files));
      if (found && library?.machine === elf.machine) open.push([found.path, library, own]);
      // `$LIB` and `$PLATFORM` stand for what only the loader knows.
      else if (found === undefined && !own.some((folder) => folder.includes('$')) && !known.includes(`${name}\0`)) {
        if (isDriverLibrary(name)) ofDriver.push(`${at} needs the library ${name}, which comes with the GPU's driver`);
        else missing.push(`${at} needs the library ${name}, which is not in the image`);
      }
    }
  }
  return { missing, ofDriver };
}

/** Bytes in which the headers of a program are, or the first line of a script. */
const HEAD = 4096;

/** The bytes that tell what a program is and needs: its beginning, and more where that tells of libraries. */
export async function head(path: string, files: ImageFiles): Promise<Buffer> {
  const first = Buffer.from(await files.read(path, { maxBytes: HEAD, prefix: true }));
  const elf = parseElf(first);
  if (elf === undefined || elf.needed !== undefined) return first;
  return Buffer.from(await files.read(path, { maxBytes: MAX_PROGRAM, prefix: true }));
}

/** Libraries that are one with the loader, in glibc and in musl: where the loader is, so are they. */
const OF_LOADER = /^(?:ld-|lib(?:c|m|dl|rt|pthread|util|xnet)\.)/;

function withOrigin(folder: string, path: string): string {
  return folder.replaceAll(/\$(?:ORIGIN|\{ORIGIN\})/g, posix.dirname(path));
}

/** glibc's and musl's lists of folders. */
async function configuredFolders(files: ImageFiles): Promise<readonly string[]> {
  const [more, etc] = await files.look(['/etc/ld.so.conf.d', '/etc'], { follow: true, list: true });
  const musl = (etc?.names ?? []).filter((name) => /^ld-musl-.*\.path$/.test(name)).map((name) => `/etc/${name}`);
  const included = (more?.names ?? []).map((name) => `/etc/ld.so.conf.d/${name}`);
  const texts = await Promise.all(['/etc/ld.so.conf', ...included, ...musl].map((path) => textOf(path, files)));
  return texts.flatMap((text) => text.split(/[\n:]/).map((line) => line.trim())).filter((line) => line.startsWith('/'));
}

async function textOf(path: string, files: ImageFiles): Promise<string> {
  return (await bytesOf(path, files, 1 << 20)).toString('utf8');
}

async function loaderCache(files: ImageFiles): Promise<Buffer> {
  return await bytesOf('/etc/ld.so.cache', files, 16 << 20);
}

/** What cannot be read says nothing. */
async function bytesOf(path: string, files: ImageFiles, maxBytes: number): Promise<Buffer> {
  try {
    return Buffer.from(await files.read(path, { maxBytes, prefix: true }));
  } catch (error) {
    if (isEngineError(error, 'NATIVE_NOT_FOUND') || isEngineError(error, 'NATIVE_INVALID')) return Buffer.alloc(0);
    throw error;
  }
}

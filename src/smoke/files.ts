import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { isAbsolute, relative } from 'node:path';
import { findInWorkspace } from './workspace.ts';

/** Bytes of a file that a spec may name. */
const LIMIT = 32 << 20;

/** Reads the files that a spec names. */
export interface SpecFiles {
  /** Where they are looked for, in this order. */
  readonly folders: readonly string[];
  /** @throws `Error` with a sentence that names the file and where it was looked for */
  read(name: string): Promise<Buffer>;
  /** What was read so far: a line a file with its name and the hash of its bytes, sorted. */
  readonly seen: () => readonly string[];
}

/**
 * Files are looked for beside the spec, then in the working directory: `.github/smoke-test.yaml` can say `tests/row.json`, and
 * an example folder works from anywhere. What lies elsewhere is refused ({@link findInWorkspace}).
 */
export function createSpecFiles(folders: readonly string[]): SpecFiles {
  const seen = new Set<string>();
  return {
    folders,
    seen: () => [...seen].sort(),
    read: async (name) => {
      const found = findInWorkspace(name, folders);
      if (found !== undefined) {
        const content = await readRegular(found, name);
        seen.add(JSON.stringify([name, createHash('sha256').update(content).digest('hex')]));
        return content;
      }
      const places = isAbsolute(name) ? '' : `, neither in ${[...new Set(folders)].map(shorten).join(' nor in ')}`;
      throw new Error(`there is no file ${name}${places}`);
    },
  };
}

async function readRegular(path: string, name: string): Promise<Buffer> {
  const found = await stat(path);
  // A FIFO or a device would hang the job.
  if (!found.isFile()) throw new Error(`${name} is no regular file`);
  if (found.size > LIMIT) throw new Error(`${name} has ${found.size} bytes: the limit is ${LIMIT}`);
  const file = await open(path);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function shorten(folder: string): string {
  const short = relative(process.cwd(), folder);
  return short === '' ? 'the working directory' : short;
}

import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

/** Forms in which a secret may leak. */
export function formsOf(secret: string): readonly Buffer[] {
  const bytes = Buffer.from(secret, 'utf8');
  const texts = [
    secret,
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    [...secret].reverse().join(''),
  ];
  // Behind one or two other bytes base64 looks different; the digits that depend on neighbours are left out.
  const shifted = [1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .slice(before + 1, -4),
  );
  return [...new Set([...texts, ...shifted])]
    .map((text) => Buffer.from(text, 'utf8'))
    .concat(Buffer.from(secret, 'utf16le'));
}

/** True when the bytes, or what they are packed from, hold the secret in any form. */
export function holds(bytes: Buffer, secret: string): boolean {
  const forms = formsOf(secret);
  return [bytes, ...unpacked(bytes)].some((content) => forms.some((form) => content.includes(form)));
}

function unpacked(bytes: Buffer): readonly Buffer[] {
  try {
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) return [gunzipSync(bytes)];
    if (bytes.subarray(0, 4).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd])))
      return [zstdDecompressSync(bytes)].flatMap((tar) => [tar, ...inner(tar)]);
  } catch {
    // Not what its first bytes say: then it was searched as it is.
  }
  return [];
}

/** Gzip members inside an archive of the cache. */
function inner(tar: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 512 < tar.length; at += 512) {
    if (tar[at] !== 0x1f || tar[at + 1] !== 0x8b) continue;
    const size = Number.parseInt(tar.subarray(at - 512 + 124, at - 512 + 135).toString(), 8);
    if (Number.isSafeInteger(size)) found.push(...unpacked(tar.subarray(at, at + size)));
  }
  return found;
}

/** Files below a folder that hold the secret, links included by what they say. */
export async function leaksIn(folder: string, secret: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const leaks = await Promise.all(
    entries.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      if (holds(Buffer.from(entry.name), secret)) return [path];
      if (entry.isSymbolicLink()) return holds(Buffer.from(await readlink(path)), secret) ? [path] : [];
      return entry.isFile() && holds(await readFile(path), secret) ? [path] : [];
    }),
  );
  return leaks.flat();
}

/**
 * Watches every process of the machine until `stop`: who has the secret in its arguments or its environment. `round` resolves when all that
 * run now have been looked at.
 *
 * @param except processes that may have it in their environment, by what their command line begins with
 */
export function watchProcesses(
  secret: string,
  except: (cmdline: string) => boolean,
): { readonly round: () => Promise<void>; readonly stop: () => Promise<readonly string[]> } {
  const leaks = new Set<string>();
  const state = { stopped: false, rounds: 0 };
  const waiting: { readonly from: number; readonly done: () => void }[] = [];
  const own = String(process.pid);
  const look = async (pid: string): Promise<void> => {
    const read = (name: string): Promise<Buffer> => readFile(`/proc/${pid}/${name}`).catch(() => Buffer.alloc(0));
    // Arguments before and after: between fork and exec a process has what its parent has.
    const before = await read('cmdline');
    const environ = await read('environ');
    const cmdline = await read('cmdline');
    if (cmdline.length === 0 || !cmdline.equals(before)) return;
    const line = cmdline.toString().replaceAll('\0', ' ');
    if (holds(cmdline, secret)) leaks.add(`arguments of ${line}`);
    if (!except(line) && holds(environ, secret)) leaks.add(`environment of ${line}`);
  };
  const watch = async (): Promise<void> => {
    while (!state.stopped) {
      const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== own);
      await Promise.all(pids.map(look));
      state.rounds += 1;
      // The round under way when somebody asked may have begun before what it is to see.
      for (const { from, done } of waiting) if (state.rounds >= from + 2) done();
    }
  };
  const done = watch();
  return {
    round: () => new Promise<void>((done) => waiting.push({ from: state.rounds, done })),
    stop: async () => {
      state.stopped = true;
      await done;
      return [...leaks];
    },
  };
}

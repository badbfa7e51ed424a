import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDir, find } from '@actions/tool-cache';

/** What the `berth` of later steps is made of. */
export interface ToolSource {
  /** Folder of the bundled command line: `index.js` and the files that it loads. */
  readonly cli: string;
  readonly helper: string;
}

const TOOL = 'berth';

/**
 * Puts command line and helper into the runner's tool cache, once a version, and gives the folder for the PATH. A copy that is there is
 * compared with ours file by file: a tool cache of a self-hosted runner outlives the jobs that may write to it.
 *
 * @param node absolute path of the Node that runs this; the shim starts it and no other
 */
export async function installTools(
  source: ToolSource,
  { version, node, temp }: { readonly version: string; readonly node: string; readonly temp: string },
): Promise<string> {
  const files = await toolFiles(source, node);
  const hash = hashOf(files);
  const name = `${version}-h${hash.slice(0, 16)}`;
  const known = find(TOOL, name, arch());
  if (known !== '' && (await isSame(known, files))) return join(known, 'bin');
  const staging = await mkdtemp(join(temp, 'berth-tool-'));
  try {
    await write(staging, files);
    return join(await cacheDir(staging, TOOL, name, arch()), 'bin');
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Beside the bundle of the Action; undefined when it runs from its sources. */
export function locateTools(helper: string): ToolSource | undefined {
  const cli = fileURLToPath(new URL('../cli', import.meta.url));
  return existsSync(join(cli, 'index.js')) ? { cli, helper } : undefined;
}

interface ToolFile {
  readonly path: string;
  readonly mode: number;
  readonly content: Uint8Array | { readonly from: string; readonly sha256: string };
}

async function toolFiles({ cli, helper }: ToolSource, node: string): Promise<readonly ToolFile[]> {
  const helperName = helper.slice(helper.lastIndexOf('/') + 1);
  const from = async (path: string): Promise<{ from: string; sha256: string }> => ({
    from: path,
    sha256: sha256(await readFile(path)),
  });
  const parts = (await readdir(cli)).filter((name) => name.endsWith('.js') || name === 'package.json').sort();
  const program = parts.map(async (name): Promise<ToolFile> => {
    return { path: `cli/${name}`, mode: 0o644, content: await from(join(cli, name)) };
  });
  return [
    { path: 'bin/berth', mode: 0o755, content: Buffer.from(shim(node)) },
    ...(await Promise.all(program)),
    { path: `native/${helperName}`, mode: 0o755, content: await from(helper) },
    { path: 'package.json', mode: 0o644, content: Buffer.from('{ "type": "module" }\n') },
  ];
}

/** Finds its own folder without a tool from the PATH; the single quotes keep any path whole, and `--` keeps Node from reading our `--env-file`. */
function shim(node: string): string {
  const quoted = `'${node.replaceAll("'", `'\\''`)}'`;
  return `#!/bin/sh\nself=$0\ncase $self in */*) ;; *) self=$(command -v "$self") ;; esac\nexec ${quoted} -- "\${self%/*}/../cli/index.js" "$@"\n`;
}

async function write(folder: string, files: readonly ToolFile[]): Promise<void> {
  for (const { path, mode, content } of files) {
    const target = join(folder, path);
    await mkdir(join(target, '..'), { recursive: true });
    if (content instanceof Uint8Array) await writeFile(target, content);
    else await copyFile(content.from, target);
    await chmod(target, mode);
  }
}

async function isSame(folder: string, files: readonly ToolFile[]): Promise<boolean> {
  for (const { path, content } of files) {
    const found = await readFile(join(folder, path)).catch(() => undefined);
    if (found === undefined || sha256(found) !== hashOfContent(content)) return false;
  }
  return true;
}

function hashOf(files: readonly ToolFile[]): string {
  return sha256(Buffer.from(files.map(({ path, content }) => `${path} ${hashOfContent(content)}\n`).join('')));
}

function hashOfContent(content: ToolFile['content']): string {
  return content instanceof Uint8Array ? sha256(content) : content.sha256;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

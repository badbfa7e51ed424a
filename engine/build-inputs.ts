import { createWriteStream } from 'node:fs';
import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { EngineError } from './base/errors.ts';
import { memo } from './base/memo.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import { redact } from './base/redact.ts';
import { createTrees, keysOf, type Trees } from './build-trees.ts';
import type { Machine, Parts } from './connect.ts';
import { openContext, type Context, type ReadContents } from './context/index.ts';
import type { BuildContext, BuildNamedContext, BuildRequest } from './engine.ts';
import type { TreeSource } from './graph/index.ts';
import { createContextHashes } from './store/index.ts';

/** The files that a build reads, all of them in folders. */
export interface BuildInputs {
  /** The request with a context that is a folder. */
  readonly request: LocalRequest;
  /** The context, opened when the first COPY needs it: a Dockerfile that copies nothing never reads it. */
  context(dockerfile: string | undefined): () => Promise<Context>;
  /** Files from elsewhere as a context. */
  source(from: TreeSource): Promise<Context>;
  /** The time of a context from elsewhere, in seconds since 1970; undefined for a folder of the user's, whose times mean nothing. */
  contextTime(): Promise<number | undefined>;
  /** The same of other files. */
  time(from: TreeSource): Promise<number | undefined>;
  /** What stands for them without reading them; undefined: their content does. */
  identify(from: TreeSource): Promise<string | undefined>;
  close(): Promise<void>;
}

/** A {@link BuildRequest} whose context is a folder. */
export type LocalRequest = BuildRequest & {
  readonly context: string;
  /** Null for files from elsewhere: as with BuildKit, ignore files are for what is sent from here. */
  readonly ignoreFile?: null | undefined;
  /** What messages call a context from elsewhere, whose folder says nothing to the user. */
  readonly contextName?: string | undefined;
};

/** Calls `use` with the request whose context has been brought here; a folder is taken as it is, and needs no helper. */
export async function withLocalRequest<T>(
  parts: Parts,
  request: BuildRequest,
  act: ActOptions,
  use: (local: LocalRequest) => Promise<T>,
): Promise<T> {
  const { context } = request;
  if (typeof context === 'string') return await use({ ...request, context });
  const inputs = await openInputs(parts, await parts.machine(act), request, act);
  try {
    return await use(inputs.request);
  } finally {
    await inputs.close();
  }
}

/**
 * Brings the context of a request here: a folder as it is, a repository, an archive behind a URL or in a stream. What is no archive is the
 * Dockerfile, as with Docker.
 *
 * @throws `GIT_FAILED`, `DOWNLOAD_FAILED`, `CONTEXT_INVALID`
 */
export async function openInputs(
  parts: Parts,
  machine: Machine,
  request: BuildRequest,
  act: ActOptions,
): Promise<BuildInputs> {
  const trees = createTrees(parts, keysOf(request), act);
  const fetching: Fetching = { parts, machine, trees, act };
  try {
    const main = await bringNamed(fetching, withGitFolder(request));
    const brought = memo((name: string) => bringNamed(fetching, filesNamed(request, name)));
    const named = memo(async (name: string) => openNamed(fetching, name, await brought(name)));
    const opened = memo((dockerfile: string) =>
      open(fetching, main, { dockerfile: dockerfile === '' ? undefined : dockerfile }),
    );
    return {
      request: await localRequest(request, main),
      context: (dockerfile) => () => opened(dockerfile ?? ''),
      source: async (from) => {
        if (from.type === 'named') return await named(from.name);
        const directory = await trees.fetch(from);
        const modes = from.type === 'git' ? 'git' : 'exact';
        return await openContext(directory, {
          modes,
          ignoreFile: null,
          contents: contentsBy(machine),
          onEvent: act.onEvent,
        });
      },
      contextTime: () => timeOf(fetching, withGitFolder(request), async () => main),
      time: async (from) => {
        if (from.type !== 'named') return await timeOf(fetching, from, () => bring(fetching, from));
        return await timeOf(fetching, filesNamed(request, from.name), () => brought(from.name));
      },
      identify: async (from) => (from.type === 'named' ? undefined : await trees.identify(from)),
      close: () => trees.close(),
    };
  } catch (error) {
    await trees.close();
    throw error;
  }
}

/** Build argument of BuildKit's that keeps `.git` of a repository that is the context. */
const KEEP_GIT = 'BUILDKIT_CONTEXT_KEEP_GIT_DIR';

/** The context, with what the build arguments want of it. @throws `BUILD_ARG_INVALID` */
function withGitFolder({ context, buildArgs = {} }: BuildRequest): BuildContext {
  const value = Object.hasOwn(buildArgs, KEEP_GIT) ? buildArgs[KEEP_GIT] : undefined;
  if (value === undefined || typeof context === 'string' || context.type !== 'git') return context;
  const keepGitDir = /^(?:1|t|true)$/i.test(value);
  if (keepGitDir || /^(?:0|f|false)$/i.test(value)) return { ...context, keepGitDir: context.keepGitDir || keepGitDir };
  throw new EngineError('BUILD_ARG_INVALID', `Cannot use ${KEEP_GIT}=${value}: it is neither true nor false`, {
    hint: `--build-arg ${KEEP_GIT}=1`,
  });
}

interface Fetching {
  readonly parts: Parts;
  readonly machine: Machine;
  readonly trees: Trees;
  readonly act: ActOptions;
}

/** A context that is a folder now. */
interface Brought {
  readonly directory: string;
  readonly isGit: boolean;
  /** Not the user's own folder, whose hashes are worth remembering. */
  readonly isRemote: boolean;
  /** What messages call it; undefined: by its folder. */
  readonly name?: string | undefined;
  /** hostPath of what was no archive: the folder is empty. */
  readonly plain?: string | undefined;
}

async function bringNamed(fetching: Fetching, context: BuildContext): Promise<Brought> {
  return { ...(await bring(fetching, context)), name: shownOf(context) };
}

function shownOf(context: BuildContext): string | undefined {
  if (typeof context === 'string') return undefined;
  switch (context.type) {
    case 'git':
      return redact(context.remote);
    case 'http':
      return redact(context.url);
    case 'archive':
      return 'that was sent';
  }
}

async function bring(fetching: Fetching, context: BuildContext): Promise<Brought> {
  const { trees } = fetching;
  if (typeof context === 'string') return { directory: context, isGit: false, isRemote: false };
  switch (context.type) {
    case 'git':
      return { directory: await trees.fetch(context), isGit: true, isRemote: true };
    case 'http':
      return await unpack(fetching, await onlyFile(await trees.fetch(context)));
    case 'archive': {
      const path = join(await trees.folder(), 'archive');
      await pipeline(context.content, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
      return await unpack(fetching, path);
    }
  }
}

/** Of a repository the commit's, of a download the server's, else that of the newest file of the archive. Source: BuildKit, build-repro.md. */
async function timeOf(
  { trees }: Fetching,
  context: BuildContext,
  brought: () => Promise<Brought>,
): Promise<number | undefined> {
  if (typeof context === 'string') return undefined;
  const told = context.type === 'archive' ? undefined : await trees.timeOf(context);
  if (told !== undefined || context.type === 'git') return told;
  const { directory, plain } = await brought();
  return plain === undefined ? await newestIn(directory) : undefined;
}

/** Folders are left out: those that the archive does not have itself are as old as this build. */
async function newestIn(directory: string): Promise<number | undefined> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  let newest: number | undefined;
  for (const entry of entries.filter((one) => one.isFile())) {
    const { mtimeMs } = await lstat(join(entry.parentPath, entry.name));
    newest = Math.max(newest ?? 0, Math.floor(mtimeMs / 1000));
  }
  return newest;
}

async function onlyFile(folder: string): Promise<string> {
  const [name = ''] = await readdir(folder);
  return join(folder, name);
}

/** The helper knows archives by their content and unpacks them; anything else stays as it is. */
async function unpack({ parts, machine, trees, act }: Fetching, path: string): Promise<Brought> {
  const directory = await trees.folder();
  const root = parts.store.root;
  const args = { archive: path.slice(root.length + 1), folder: directory.slice(root.length + 1) };
  const vertex = { id: 'unpack context', name: '[internal] unpack build context' };
  const { isArchive } = await withVertex(vertex, act.onEvent, () =>
    machine.helper.call('unpack', args, {
      signal: act.signal,
      onEvent: (event) => {
        if (event.type === 'warning') act.onEvent?.({ type: 'warning', vertex: vertex.id, message: event.message });
      },
    }),
  );
  return { directory, isGit: false, isRemote: true, plain: isArchive ? undefined : path };
}

const MAX_TEXT = 16 * 1024 * 1024;

async function readDockerfileText(path: string): Promise<string> {
  const bytes = await readFile(path);
  if (bytes.length <= MAX_TEXT && !bytes.includes(0)) return bytes.toString('utf8');
  throw new EngineError(
    'CONTEXT_INVALID',
    'Cannot use what was given as context: it is neither an archive nor a Dockerfile',
    {
      hint: 'Give a tar archive, plain or packed with gzip, bzip2, xz or zstd',
    },
  );
}

/** A Dockerfile that is named is one of the context when that comes from elsewhere. */
async function localRequest(request: BuildRequest, main: Brought): Promise<LocalRequest> {
  const { directory, plain, isRemote, name } = main;
  const text = plain === undefined ? undefined : await readDockerfileText(plain);
  if (text !== undefined && (request.file !== undefined || request.dockerfile !== undefined)) {
    throw new EngineError('CONTEXT_INVALID', 'Cannot use two Dockerfiles: one was given instead of a context', {
      hint: 'Leave out -f, or give a context',
    });
  }
  const remote = isRemote ? { ignoreFile: null, contextName: name } : {};
  const local = { ...request, ...remote, context: directory, ...(text === undefined ? {} : { dockerfile: text }) };
  if (!isRemote || request.file === undefined) return local;
  const file = join(directory, request.file);
  const real = await realpath(file).catch(() => file);
  const root = await realpath(directory);
  if (real.startsWith(`${root}/`)) return { ...local, file };
  throw new EngineError('DOCKERFILE_NOT_FOUND', `Cannot read ${request.file}: it leads out of the build context`, {
    hint: 'Name a file by its path from the root of the context',
  });
}

async function open(
  { parts, machine, act }: Fetching,
  { directory, isGit, isRemote, name, plain }: Brought,
  { dockerfile }: { readonly dockerfile: string | undefined },
): Promise<Context> {
  const { store } = parts;
  return await withVertex({ id: 'load context', name: '[internal] load build context' }, act.onEvent, () =>
    openContext(directory, {
      dockerfile,
      name: plain === undefined ? name : null,
      modes: isGit ? 'git' : isRemote ? 'exact' : 'tracked',
      git: parts.options.git,
      ignoreFile: isRemote ? null : undefined,
      // What was brought here lies in the store itself.
      forbid: isRemote ? [] : [store.root],
      contents: contentsBy(machine),
      statCache: isRemote ? undefined : createContextHashes(store.root, directory),
      onEvent: act.onEvent,
      signal: act.signal,
    }),
  );
}

/** Large files are hashed by the helper, on its fast hash. */
function contentsBy({ helper }: Machine): ReadContents {
  return async (hostPath, list, { signal }) => {
    const chunks: Uint8Array[] = [];
    const onData = (chunk: Uint8Array): void => void chunks.push(chunk);
    await helper.call('contents', { hostPath, listBytes: list.length }, { signal, data: [list], onData });
    return Buffer.concat(chunks);
  };
}

function filesNamed(request: BuildRequest, name: string): BuildContext {
  const found = request.contexts?.[name];
  if (found === undefined || isOther(found)) throw new Error(`The context ${name} is not one of files`);
  return found;
}

async function openNamed(fetching: Fetching, name: string, brought: Brought): Promise<Context> {
  if (brought.plain !== undefined) {
    throw new EngineError('CONTEXT_INVALID', `Cannot use the context ${name}: it is no archive`);
  }
  const vertex = { id: `load context ${name}`, name: `[context ${name}] load` };
  return await withVertex(vertex, fetching.act.onEvent, () => open(fetching, brought, { dockerfile: undefined }));
}

function isOther(context: BuildNamedContext): context is Exclude<BuildNamedContext, BuildContext> {
  return typeof context !== 'string' && (context.type === 'image' || context.type === 'oci-layout');
}

import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from './base/errors.ts';
import { memo } from './base/memo.ts';
import { once } from './base/once.ts';
import { redact } from './base/redact.ts';
import { withVertex, type ActOptions } from './base/progress.ts';
import type { Parts } from './connect.ts';
import type { BuildRequest } from './engine.ts';
import { checkOut, download, resolveCommit, type Downloaded, type GitOptions } from './context/index.ts';
import type { GitSource, HttpSource } from './graph/index.ts';
import { createWeb, type Web } from './registry/index.ts';
import { createDownloadRecords, randomName } from './store/index.ts';

/** Value of a build secret; undefined when there is none of that name. */
export type ReadSecret = (id: string) => Promise<Uint8Array | undefined>;

/** What repositories and servers are asked with. */
export interface Keys {
  readonly secret: ReadSecret;
  /** hostPath of the socket of the agent called `default`. */
  readonly agent?: string | undefined;
}

/** The secrets of a request by their names, and its agent. */
export function keysOf({
  secrets = [],
  gitSecrets = [],
  ssh = [],
}: Pick<BuildRequest, 'secrets' | 'gitSecrets' | 'ssh'>): Keys {
  const values = new Map([...gitSecrets, ...secrets].map(({ id, value }) => [id, value]));
  return { secret: async (id) => values.get(id), agent: ssh.find(({ id }) => id === 'default')?.socket };
}

/** Files of repositories and URLs for one build, in folders of their own below `ingest/`. */
export interface Trees {
  /** What stands for the files of a source without reading them. */
  identify(source: HttpSource | GitSource): Promise<string>;
  /** A folder with the files. */
  fetch(source: HttpSource | GitSource): Promise<string>;
  /** When the commit was made, or what the server says; in seconds since 1970. */
  timeOf(source: HttpSource | GitSource): Promise<number | undefined>;
  /** An empty folder. */
  folder(): Promise<string>;
  /** Removes the folders. */
  close(): Promise<void>;
}

/** {@link Trees} that ask each source once. */
export function createTrees(parts: Parts, keys: Keys, act: ActOptions): Trees {
  const folders: string[] = [];
  const web = createWeb(parts.options);
  const folder = async (): Promise<string> => {
    const path = join(parts.store.root, 'ingest', `tree-${randomName()}`);
    folders.push(path);
    await mkdir(path, { mode: 0o700 });
    return path;
  };
  const knownHosts = once(async () => join(await folder(), 'known_hosts'));
  const context: TreeContext = { parts, ...keys, act, web, folder, knownHosts };
  const commits = memo((source: GitSource) => commitOf(context, source));
  const asked = memo((source: HttpSource) => ask(context, source));
  const fetched = memo(async (source: HttpSource | GitSource): Promise<FetchedTree> => {
    if (source.type === 'git') return await fetchGit(context, source, await commits(source));
    return await fetchHttp(context, source, source.checksum === undefined ? await asked(source) : undefined);
  });
  return {
    folder,
    fetch: async (source) => (await fetched(source)).directory,
    timeOf: async (source) => (await fetched(source)).time,
    identify: async (source) => {
      if (source.type === 'git') {
        const { remote, ref, checksum: _, ...how } = source;
        // What is kept of the repository says where it is from, and which tag was asked for.
        const kept = source.keepGitDir ? { remote: redact(remote), ref } : {};
        return `git ${await commits(source)} ${JSON.stringify({ ...how, ...kept })}`;
      }
      const { digest, lastModified = '' } =
        source.checksum === undefined ? await asked(source) : { digest: source.checksum };
      return `http ${digest} ${new URL(source.url).pathname} ${lastModified}`;
    },
    close: async () => {
      await web.close();
      for (const path of folders) await removeTree(path);
    },
  };
}

interface FetchedTree {
  readonly directory: string;
  readonly time: number | undefined;
}

interface TreeContext extends Keys {
  readonly parts: Parts;
  readonly act: ActOptions;
  readonly web: Web;
  readonly folder: () => Promise<string>;
  /** hostPath of the file that keeps the keys of new hosts, the same for every repository. */
  readonly knownHosts: () => Promise<string>;
}

/** The URL now: the body, or that it is still the one that is known. */
async function ask(context: TreeContext, source: HttpSource): Promise<Downloaded> {
  const { store, options } = context.parts;
  const records = createDownloadRecords(store.root, options.cacheScope);
  return await get(context, source, {
    known: await records.get(source.url),
    remember: (known) => records.put(source.url, known),
  });
}

async function fetchHttp(
  context: TreeContext,
  source: HttpSource,
  asked: Downloaded | undefined,
): Promise<FetchedTree> {
  const found = asked?.path === undefined ? await get(context, source, {}) : asked;
  const wanted = source.checksum ?? asked?.digest;
  if (found.path !== undefined && (wanted === undefined || found.digest === wanted))
    return { directory: join(found.path, '..'), time: secondsOf(found.lastModified) };
  const state = `its content is ${found.digest}, and ${wanted ?? ''} was wanted`;
  throw new EngineError('CHECKSUM_MISMATCH', `Cannot use ${redact(source.url)}: ${state}`, {
    hint: source.checksum === undefined ? 'Build again: it changed meanwhile' : 'Check the file and --checksum',
  });
}

function secondsOf(header: string | undefined): number | undefined {
  const time = Date.parse(header ?? '');
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000);
}

async function get(
  { web, act, folder, secret }: TreeContext,
  { url: text }: HttpSource,
  how: Pick<Parameters<typeof download>[1], 'known' | 'remember'>,
): Promise<Downloaded> {
  const url = new URL(text);
  const vertex = { id: `download ${text}`, name: `[internal] load ${redact(text)}` };
  const headers = await headersFor(url, secret);
  return await withVertex(vertex, act.onEvent, async () =>
    download(url, {
      web,
      headers,
      folder: await folder(),
      signal: act.signal,
      onProgress: (current, total) =>
        act.onEvent?.({ type: 'status', vertex: vertex.id, name: 'download', current, total }),
      ...how,
    }),
  );
}

/** `HTTP_AUTH_HEADER_<host>` as it is, else `HTTP_AUTH_TOKEN_<host>` as bearer token. */
async function headersFor(url: URL, secret: ReadSecret): Promise<Readonly<Record<string, string>>> {
  const read = async (prefix: string): Promise<string | undefined> =>
    text((await secret(`${prefix}${url.host}`)) ?? (await secret(`${prefix}${url.hostname}`)));
  const header = await read('HTTP_AUTH_HEADER_');
  if (header !== undefined) return { authorization: header };
  const token = await read('HTTP_AUTH_TOKEN_');
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

async function commitOf(context: TreeContext, source: GitSource): Promise<string> {
  return await withVertex(gitVertex(source), context.act.onEvent, async () =>
    resolveCommit(source, await gitOptions(context, source)),
  );
}

async function fetchGit(context: TreeContext, source: GitSource, commit: string): Promise<FetchedTree> {
  return await withVertex(gitVertex(source), context.act.onEvent, async () =>
    checkOut(source, commit, await context.folder(), await gitOptions(context, source)),
  );
}

function gitVertex({ remote }: GitSource): { readonly id: string; readonly name: string } {
  return { id: `git ${remote}`, name: `[internal] load git source ${redact(remote)}` };
}

/** `GIT_AUTH_HEADER` as it is, else `GIT_AUTH_TOKEN` as password; either also with `.<host>` behind it, for that host alone. */
async function gitOptions(
  { parts, secret, agent, knownHosts, act }: TreeContext,
  { remote }: GitSource,
): Promise<GitOptions> {
  const { caFile, httpProxy, httpsProxy, noProxy } = parts.options;
  // A submodule may be asked for over ssh, whatever the repository is asked for over.
  const ssh = agent === undefined ? {} : { agent, knownHosts: await knownHosts() };
  const common = { caFile, httpProxy, httpsProxy, noProxy, ...ssh, signal: act.signal };
  if (!URL.canParse(remote) || !remote.startsWith('http')) return common;
  const url = new URL(remote);
  const { host } = url;
  const read = async (name: string): Promise<string | undefined> =>
    text((await secret(`${name}.${host}`)) ?? (await secret(name)));
  const [header, token] = [await read('GIT_AUTH_HEADER'), await read('GIT_AUTH_TOKEN')];
  if (header === undefined && token === undefined) return common;
  if (!isPrivate(url)) {
    throw new EngineError(
      'GIT_TOKEN_IN_CLEAR',
      `Cannot send the token for ${host} over http: all on the way could read it`,
      {
        hint: `Write https://${host}${url.pathname}, or leave the secret out`,
      },
    );
  }
  if (header !== undefined) return { ...common, authorization: header };
  return { ...common, authorization: `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}` };
}

function isPrivate({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(hostname));
}

function text(value: Uint8Array | undefined): string | undefined {
  const found = value === undefined ? '' : Buffer.from(value).toString('utf8').trim();
  return found === '' || /[\r\n\0]/.test(found) ? undefined : found;
}

/** A folder with directories in it that their owner may not write to. */
async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await openDirectories(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function openDirectories(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await openDirectories(join(path, entry.name));
  }
}

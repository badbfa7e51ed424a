// An image as a registry has it: its configuration and the tree that its layers make, read without any engine.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';

/** A file of the tree; what it is compared by. */
export interface TreeEntry {
  readonly type: string;
  /** Octal. */
  readonly mode: string;
  readonly owner: string;
  /** Seconds. */
  readonly mtime: number;
  readonly size: number;
  readonly link: string;
  readonly digest: string;
  /** `name=value`, sorted. */
  readonly xattrs: readonly string[];
}

/** Configuration and tree; paths are relative, without slashes around them. */
export interface ImageTree {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tree: ReadonlyMap<string, TreeEntry>;
}

const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly mediaType: string }[];
}

/** Reads images of one registry; layers that images share are read once. */
export function createImageReader(origin: string): (repository: string, reference: string) => Promise<ImageTree> {
  const layers = new Map<string, Promise<readonly LayerEntry[]>>();
  return async (repository, reference) => {
    const get = async (path: string): Promise<Response> => await fetchOk(`${origin}/v2/${repository}/${path}`);
    // Type: the registry is the test's own, and both builders push manifests of these fields.
    const manifest = (await (await get(`manifests/${reference}`)).json()) as Manifest;
    const config = (await (await get(`blobs/${manifest.config.digest}`)).json()) as Record<string, unknown>;
    const tree = new Map<string, TreeEntry>();
    for (const { digest, mediaType } of manifest.layers) {
      const known = layers.get(digest) ?? readLayer(await get(`blobs/${digest}`), mediaType);
      layers.set(digest, known);
      applyLayer(tree, await known);
    }
    return { config, tree };
  };
}

async function fetchOk(url: string): Promise<Response> {
  const answer = await fetch(url, { headers: { accept: ACCEPT } });
  if (!answer.ok) throw new Error(`${url}: status ${answer.status}`);
  return answer;
}

interface LayerEntry {
  readonly path: string;
  readonly entry: TreeEntry;
  /** Path that a hard link leads to. */
  readonly same?: string;
}

async function readLayer({ body }: Response, mediaType: string): Promise<readonly LayerEntry[]> {
  const entries: LayerEntry[] = [];
  const reader = extract();
  reader.on('entry', (header, stream, next) => {
    const hash = createHash('sha256');
    stream.on('data', (chunk) => hash.update(chunk as Buffer));
    stream.on('end', () => {
      const path = header.name.replace(/^\.?\/+|\/+$/g, '');
      const digest = header.type === 'file' ? hash.digest('hex') : '';
      const same = header.type === 'link' ? { same: (header.linkname ?? '').replace(/^\.?\/+/, '') } : {};
      if (path !== '' && path !== '.') entries.push({ path, entry: entryOf(header, digest), ...same });
      next();
    });
  });
  const unpack = mediaType.includes('gzip') ? [createGunzip()] : [];
  // Type: the body of a fetched response is a web stream of bytes.
  await pipeline([Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), ...unpack, reader]);
  return entries;
}

function entryOf(header: Header, digest: string): TreeEntry {
  // Type: tar-stream gives pax records as texts.
  const pax = (header.pax ?? {}) as Readonly<Record<string, string>>;
  const xattrs = Object.entries(pax).filter(([name]) => name.startsWith('SCHILY.xattr.'));
  return {
    type: header.type ?? 'file',
    mode: ((header.mode ?? 0) & 0o7777).toString(8),
    owner: `${header.uid}:${header.gid}`,
    mtime: Math.floor((header.mtime?.getTime() ?? 0) / 1000),
    size: header.type === 'file' ? (header.size ?? 0) : 0,
    link: header.type === 'symlink' ? (header.linkname ?? '') : '',
    digest,
    xattrs: xattrs.map(([name, value]) => `${name.slice('SCHILY.xattr.'.length)}=${value}`).sort(),
  };
}

/** Whiteouts hide what is below the layer; then its own entries come. */
function applyLayer(tree: Map<string, TreeEntry>, entries: readonly LayerEntry[]): void {
  for (const { path } of entries) {
    const { folder, name } = cut(path);
    if (name === '.wh..wh..opq') removeBelow(tree, folder);
    else if (name.startsWith('.wh.')) removeAll(tree, folder === '' ? name.slice(4) : `${folder}/${name.slice(4)}`);
  }
  for (const { path, entry, same } of entries) {
    if (cut(path).name.startsWith('.wh.')) continue;
    if (entry.type !== 'directory') removeBelow(tree, path);
    tree.set(path, same === undefined ? entry : (tree.get(same) ?? entry));
  }
}

function cut(path: string): { readonly folder: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return { folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

function removeAll(tree: Map<string, TreeEntry>, path: string): void {
  tree.delete(path);
  removeBelow(tree, path);
}

function removeBelow(tree: Map<string, TreeEntry>, path: string): void {
  for (const known of [...tree.keys()]) if (path === '' || known.startsWith(`${path}/`)) tree.delete(known);
}

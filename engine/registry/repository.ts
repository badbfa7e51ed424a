import { collect } from '../base/collect.ts';
import { choosePlatform } from '../image/choose.ts';
import { isDigest } from '../image/digest.ts';
import { MAX_MANIFEST_SIZE, parseGraphNode, parseIndex } from '../image/manifest.ts';
import { isGraphType, isIndexType } from '../image/media-type.ts';
import { nameOf, parseReference, type Reference } from '../image/reference.ts';
import type { Descriptor, Platform, PushOptions } from '../image/types.ts';
import type { Scope } from './auth.ts';
import { type BlobCall, checkExistingBlob, openBlob, type Place } from './blob.ts';
import type { Client } from './client.ts';
import { registryName } from './endpoint.ts';
import { RegistryError } from './errors.ts';
import { type FetchedManifest, getManifest, headManifest, putManifest } from './manifest.ts';
import { listTags } from './tags.ts';
import type { Repository, SignalOption } from './types.ts';
import { pushBlob } from './upload.ts';

export interface RepositoryParts {
  readonly origin: Client;
  readonly mirror: Client | undefined;
  readonly reference: Reference;
  readonly chunkSize: number;
  /** The client's own signal. */
  readonly signal: AbortSignal | undefined;
}

/** How many manifests a repository remembers; an image needs two. */
const REMEMBERED = 64;

/** One repository as an end of `copyGraph`. */
export function createRepository(parts: RepositoryParts): Repository {
  const { origin, mirror, reference, chunkSize } = parts;
  const name = nameOf(reference);
  const remembered = new Map<string, FetchedManifest>();
  const home: Place = { client: origin, path: `${origin.endpoint.prefix}${reference.path}` };
  const places =
    mirror === undefined ? [home] : [{ client: mirror, path: `${mirror.endpoint.prefix}${reference.path}` }, home];
  // One scope for a push with all its questions: one token, and the same answers.
  let actions: 'pull' | 'pull,push' = 'pull';

  const remember = (manifest: FetchedManifest): FetchedManifest => {
    if (remembered.size >= REMEMBERED) remembered.delete(remembered.keys().next().value ?? '');
    remembered.set(manifest.descriptor.digest, manifest);
    return manifest;
  };
  const call = (act: string, place: Place, options: SignalOption | undefined, isImage = false): BlobCall => ({
    operation: { act, isImage },
    scopes: [`repository:${place.path}:${place === home ? actions : 'pull'}` satisfies Scope],
    signal: joined(parts.signal, options?.signal),
  });

  const manifest: Repository['manifest'] = async (tagOrDigest, options) => {
    const known = remembered.get(tagOrDigest);
    if (known) return known;
    const act = `pull ${at(name, tagOrDigest)}`;
    return remember(await fromAny(places, (place) => getManifest(place, tagOrDigest, call(act, place, options, true))));
  };

  const resolve: Repository['resolve'] = async (tagOrDigest, options) => {
    const act = `pull ${at(name, tagOrDigest)}`;
    const known = remembered.get(tagOrDigest)?.descriptor;
    const root =
      known ??
      (await fromAny(places, async (place) => {
        const found = call(act, place, options, true);
        return (
          (await headManifest(place, tagOrDigest, found)) ??
          remember(await getManifest(place, tagOrDigest, found)).descriptor
        );
      }));
    return options?.platform === undefined || !isIndexType(root.mediaType)
      ? root
      : chosen(root, options.platform, at(name, tagOrDigest), options);
  };

  const chosen = async (
    root: Descriptor,
    platform: Platform,
    what: string,
    options: SignalOption,
  ): Promise<Descriptor> => {
    const { content } = await manifest(root.digest, options);
    return choosePlatform(
      parseIndex(content, { what: `the index of ${what}`, mediaType: root.mediaType }),
      platform,
      what,
    );
  };

  const fetch: Repository['fetch'] = async function* (descriptor, options) {
    if (isGraphType(descriptor.mediaType)) {
      const { content, descriptor: found } = await manifest(descriptor.digest, options);
      if (found.size !== descriptor.size) throw wrongSize(name, descriptor, found.size);
      yield content;
      return;
    }
    const act = `pull blob ${descriptor.digest} of ${name}`;
    yield* await fromAny(places, (place) => openBlob(place, descriptor, call(act, place, options)));
  };

  const exists: Repository['exists'] = async (descriptor, options) => {
    const own = call(`push to ${name}`, home, options);
    if (!isGraphType(descriptor.mediaType)) return checkExistingBlob(home, descriptor, own);
    return (await headManifest(home, descriptor.digest, own)) !== undefined;
  };

  const push: Repository['push'] = async (descriptor, source, options = {}) => {
    actions = 'pull,push';
    if (isGraphType(descriptor.mediaType)) return pushManifest(descriptor, source, options);
    const own = call(`push blob ${descriptor.digest} to ${name}`, home, options);
    const mountFrom = mountable(options.mountFrom ?? [], reference);
    return pushBlob(home, descriptor, source, { ...own, mountFrom, chunkSize, onProgress: options.onProgress });
  };

  const pushManifest = async (
    descriptor: Descriptor,
    source: () => AsyncIterable<Uint8Array>,
    options: PushOptions,
  ): Promise<'pushed' | 'exists'> => {
    const own = call(`push ${at(name, descriptor.digest)}`, home, options);
    const isThere = (await headManifest(home, descriptor.digest, own)) !== undefined;
    const content = await collect(source(), `the manifest ${descriptor.digest}`, MAX_MANIFEST_SIZE);
    parseGraphNode(content, { what: `the manifest ${descriptor.digest}`, mediaType: descriptor.mediaType });
    // Also when it is there: a tag for it is pushed with these bytes.
    const manifest = remember({ descriptor, content });
    if (isThere) return 'exists';
    await putManifest(home, descriptor.digest, manifest, own);
    return 'pushed';
  };

  const tagged: Repository['tagged'] = async (tagName, options) => {
    actions = 'pull,push';
    return await headManifest(home, tagName, call(`push ${at(name, tagName)}`, home, options, true));
  };

  const tag: Repository['tag'] = async (descriptor, tagName, options) => {
    actions = 'pull,push';
    const own = call(`push ${at(name, tagName)}`, home, options, true);
    const known = remembered.get(descriptor.digest) ?? remember(await getManifest(home, descriptor.digest, own));
    await putManifest(home, tagName, known, own);
  };

  const tags: Repository['tags'] = async (options) =>
    fromAny(places, (place) => listTags(place, call(`list the tags of ${name}`, place, options, true)));

  return { name, manifest, resolve, fetch, exists, push, tagged, tag, tags };
}

const ELSEWHERE = new Set(['IMAGE_NOT_FOUND', 'REGISTRY_NOT_FOUND', 'REGISTRY_UNREACHABLE', 'REGISTRY_TIMEOUT']);

/** The mirror first; the registry itself when the mirror hasn't got it or can't be reached, and for no other reason. */
async function fromAny<T>(places: readonly Place[], act: (place: Place) => Promise<T>): Promise<T> {
  const [first, second] = places;
  if (first === undefined) throw new TypeError('a repository has at least one place');
  if (second === undefined) return act(first);
  try {
    return await act(first);
  } catch (error) {
    if (error instanceof RegistryError && ELSEWHERE.has(error.code)) return act(second);
    throw error;
  }
}

/** Repositories at our registry, without its name; nothing can be mounted from elsewhere, or from itself. */
function mountable(candidates: readonly string[], own: Reference): string[] {
  const paths = candidates.flatMap((candidate) => {
    const { domain, path } = parseReference(candidate);
    return registryName(domain) === registryName(own.domain) && path !== own.path ? [path] : [];
  });
  return [...new Set(paths)];
}

function at(name: string, tagOrDigest: string): string {
  return isDigest(tagOrDigest) ? `${name}@${tagOrDigest}` : `${name}:${tagOrDigest}`;
}

function joined(a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  return a !== undefined && b !== undefined ? AbortSignal.any([a, b]) : (a ?? b);
}

function wrongSize(name: string, { digest, size }: Descriptor, got: number): RegistryError {
  return new RegistryError('CONTENT_MISMATCH', `Cannot pull ${name}@${digest}: wanted ${size} bytes of it, got ${got}`);
}

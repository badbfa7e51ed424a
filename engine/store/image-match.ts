import { EngineError, isEngineError } from '../base/errors.ts';
import { bestFor } from '../image/choose.ts';
import { encodedOf } from '../image/digest.ts';
import { formatReference, nameOf, parseReference, withDefaultTag } from '../image/reference.ts';
import type { Digest, Platform } from '../image/types.ts';
import type { Snapshot } from './indexes.ts';
import type { StoredImage, StoredIndex } from './types.ts';

/**
 * The image that a name, a digest, an id or the prefix of one stands for, as Docker looks; of an index, the image for this machine.
 *
 * @throws `AMBIGUOUS` for a prefix of several
 */
export function match(nameOrId: string, snapshot: Snapshot): StoredImage | undefined {
  const found = lookUp(nameOrId, snapshot);
  return found && 'members' in found ? snapshot.primaryOf(found) : found;
}

/** The same for a platform; undefined when what is found has no image for it. */
export function matchFor(nameOrId: string, platform: Platform, snapshot: Snapshot): StoredImage | undefined {
  const found = lookUp(nameOrId, snapshot);
  if (!found) return undefined;
  const candidates = 'members' in found ? snapshot.imagesOf(found) : [found, ...siblingsOf(found, snapshot)];
  return bestFor(candidates, platform, ({ config }) => config);
}

/**
 * The image with the manifest that is meant by what it was asked for: the one of that digest, or the one that came from the repository of the
 * name; of an index, the one that it names. An id alone, and a name that was given here, mean the one that was made or came first.
 */
export function asAsked(image: StoredImage | undefined, nameOrId: string): StoredImage | undefined {
  const member = image?.index?.members.find(({ id }) => id === image.id);
  if (image && member) return { ...image, manifest: member.manifest };
  if (!image?.pulled) return image;
  const reference = parse(nameOrId);
  const digest = reference?.digest ?? nameOrId;
  const meant =
    image.pulled.find(({ manifest }) => manifest.digest === digest) ??
    (reference && image.pulled.find(({ from }) => from === nameOf(reference)));
  return meant ? { ...image, manifest: meant.manifest } : image;
}

/**
 * Images that came from the same index of a registry: they have its digest among their places. It is that which the image was last found by: one
 * of an index before it may be of another version.
 */
function siblingsOf({ id, repoDigests }: StoredImage, { images }: Snapshot): readonly StoredImage[] {
  const newest = new Map(repoDigests.map((place) => [place.replace(/@.*$/, ''), place]));
  const places = [...newest.values()];
  return images.filter((other) => other.id !== id && other.repoDigests.some((place) => places.includes(place)));
}

function lookUp(nameOrId: string, snapshot: Snapshot): StoredImage | StoredIndex | undefined {
  const { images, indexes } = snapshot;
  const id = /^[0-9a-f]{64}$/.test(nameOrId) ? `sha256:${nameOrId}` : nameOrId;
  const index = indexes.find(({ descriptor }) => descriptor.digest === id);
  const exact = index ?? images.find((image) => image.id === id || hasManifest(image, id));
  return exact ?? byName(nameOrId, snapshot) ?? byPrefix(nameOrId, snapshot);
}

function byName(text: string, { images, indexes, host }: Snapshot): StoredImage | StoredIndex | undefined {
  const reference = parse(text);
  if (!reference) return undefined;
  const { digest } = reference;
  if (digest === undefined) {
    const name = formatReference(withDefaultTag(reference));
    return indexes.find(({ names }) => names.includes(name)) ?? images.find((image) => image.names.includes(name));
  }
  const name = nameOf(reference);
  // A manifest in an index has a digest of its own, beside the index's that the name was pulled by.
  const isOf = (image: StoredImage): boolean => image.repoDigests.some((place) => place.startsWith(`${name}@`));
  const found = images.filter(
    (image) => image.repoDigests.includes(`${name}@${digest}`) || (hasManifest(image, digest) && isOf(image)),
  );
  return bestFor(found, host, ({ config }) => config) ?? found[0];
}

function hasManifest({ manifest, pulled = [] }: StoredImage, digest: string): boolean {
  return manifest?.digest === digest || pulled.some((one) => one.manifest.digest === digest);
}

function parse(text: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (isEngineError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}

function byPrefix(text: string, { images, indexes }: Snapshot): StoredImage | StoredIndex | undefined {
  const prefix = text.replace(/^sha256:/, '');
  if (!/^[0-9a-f]{1,63}$/.test(prefix)) return undefined;
  const all = [
    ...images.map((image): readonly [Digest, StoredImage] => [image.id, image]),
    ...indexes.map((index): readonly [Digest, StoredIndex] => [index.descriptor.digest, index]),
  ];
  const found = all.filter(([id]) => encodedOf(id).startsWith(prefix));
  if (found.length > 1) {
    throw new EngineError('AMBIGUOUS', `Cannot find one image by ${text}: ${found.length} ids begin with it`, {
      hint: `Give more digits: ${found.map(([id]) => encodedOf(id).slice(0, 12)).join(', ')}`,
    });
  }
  return found[0]?.[1];
}

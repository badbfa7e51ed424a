import { EngineError } from './base/errors.ts';
import type { Parts } from './connect.ts';
import type { Containers } from './engine.ts';
import { encodedOf } from './image/digest.ts';
import { familiarString, formatReference, parseReference, withDefaultTag } from './image/reference.ts';
import { imageFor } from './image-for.ts';
import type { Digest, Platform } from './image/types.ts';
import { isNamed, type StoredImage, type StoredIndex } from './store/index.ts';

/**
 * A `docker rmi`: takes a name away, or the image with its last name; one that an index holds stays for that index. By id, an image with
 * several names needs `force`, as do an index with several, an image of an index, and one that a container uses. A scope takes its own names
 * away, and no image that others have a name for.
 *
 * @returns lines as Docker prints them
 * @throws `IMAGE_NOT_FOUND`, `IMAGE_IN_USE`
 */
export async function removeImage(
  { store, options }: Pick<Parts, 'store' | 'options'>,
  containers: Pick<Containers, 'list'>,
  nameOrId: string,
  { force = false }: { readonly force?: boolean | undefined } = {},
): Promise<readonly string[]> {
  const image = await store.images.resolve(nameOrId);
  const { index, partOf = [] } = image;
  const name = nameUsed(image, nameOrId);
  const { names, othersNames = [] } = index ?? image;
  const isHeld = othersNames.length > 0 || (!index && partOf.length > 0);
  if (name !== undefined && (names.length > 1 || isHeld)) {
    await store.images.untag(name);
    return [untagged(name)];
  }
  if (name === undefined && names.length > 1 && !force) throw severalNames(names, nameOrId);
  const others = index ? othersNames : [image, ...partOf].flatMap((one) => one.othersNames ?? []);
  if (others.length > 0 && (!force || options.cacheScope !== undefined))
    throw namedByOthers(others, nameOrId, options.cacheScope);
  if (index) return await removeIndexes(store, containers, [index], { force });
  if (partOf.length > 0 && !force) throw heldByIndex(partOf, nameOrId);
  await requireUnused(containers, image, force);
  const lines = await removeIndexes(store, containers, partOf, { force });
  const rest = await store.images.find(image.id);
  return rest ? [...lines, ...(await removeAlone(store, rest))] : lines;
}

/** Takes an image away that no index with a name holds; those without one go with it. */
async function removeAlone(store: Parts['store'], { id, names }: StoredImage): Promise<readonly string[]> {
  const holders = await holdersOf(store, id);
  await store.images.remove(id);
  return [
    ...names.map(untagged),
    ...holders.map(({ descriptor }) => `Deleted: ${descriptor.digest}`),
    `Deleted: ${id}`,
  ];
}

/** Indexes that an image is part of, also those without a name. */
async function holdersOf({ images }: Parts['store'], id: Digest): Promise<readonly StoredIndex[]> {
  return (await images.indexes()).filter(({ members }) => members.some((member) => member.id === id));
}

/** Takes indexes away, and those of their images that nothing else holds; none of it when a container uses one of them. */
async function removeIndexes(
  store: Parts['store'],
  containers: Pick<Containers, 'list'>,
  indexes: readonly StoredIndex[],
  { force }: { readonly force: boolean },
): Promise<readonly string[]> {
  for (const { members } of indexes) {
    const images = await Promise.all(members.map(({ id }) => store.images.find(id)));
    for (const image of images) if (image) await requireUnused(containers, image, force);
  }
  const lines: string[] = [];
  for (const index of indexes) lines.push(...(await removeIndex(store, index)));
  return lines;
}

async function removeIndex(
  store: Parts['store'],
  { descriptor, members, names }: StoredIndex,
): Promise<readonly string[]> {
  await store.images.removeIndex(descriptor.digest);
  const gone: Digest[] = [];
  for (const { id } of members) {
    const image = await store.images.find(id);
    if (!image || isNamed(image) || (await holdersOf(store, id)).length > 0) continue;
    await store.images.remove(id);
    gone.push(id);
  }
  return [...names.map(untagged), `Deleted: ${descriptor.digest}`, ...gone.map((id) => `Deleted: ${id}`)];
}

/** As Docker says it: by the short name. */
function untagged(name: string): string {
  return `Untagged: ${familiarString(parseReference(name))}`;
}

/** The name of the image that the user's words stand for; undefined when it was found by id or digest. */
function nameUsed({ names }: StoredImage, nameOrId: string): string | undefined {
  return names.find((name) => {
    try {
      return formatReference(withDefaultTag(parseReference(nameOrId))) === name;
    } catch {
      return false;
    }
  });
}

async function requireUnused(containers: Pick<Containers, 'list'>, image: StoredImage, force: boolean): Promise<void> {
  const users = (await containers.list({ all: true })).filter(({ imageId }) => imageId === image.id);
  const running = users.filter(({ status }) => status === 'running');
  const [user] = running.length > 0 ? running : force ? [] : users;
  if (!user) return;
  throw new EngineError(
    'IMAGE_IN_USE',
    `Cannot remove image ${encodedOf(image.id).slice(0, 12)}: ${user.status} container ${user.name} uses it`,
    {
      hint:
        user.status === 'running'
          ? `berth stop ${user.name}`
          : `berth rm ${user.name}, or remove the image with --force`,
    },
  );
}

function severalNames(names: readonly string[], nameOrId: string): EngineError {
  return new EngineError('IMAGE_IN_USE', `Cannot remove image ${nameOrId}: it has several names: ${names.join(', ')}`, {
    hint: 'Remove it by name, or with --force',
  });
}

function namedByOthers(names: readonly string[], nameOrId: string, scope: string | undefined): EngineError {
  const message = `Cannot remove image ${nameOrId}: runs of another scope have names for it: ${[...new Set(names)].join(', ')}`;
  return new EngineError('IMAGE_IN_USE', message, {
    hint: scope === undefined ? 'Remove it with --force' : 'Remove it with --force, and without BERTH_CACHE_SCOPE',
  });
}

function heldByIndex(holders: readonly StoredIndex[], nameOrId: string): EngineError {
  const names = holders.flatMap((index) => index.names);
  const message = `Cannot remove image ${nameOrId}: it is part of an image for several platforms: ${names.join(', ')}`;
  return new EngineError('IMAGE_IN_USE', message, {
    hint: `berth rmi ${names.join(' ')}, or remove the image with --force, which takes all of that away`,
  });
}

/** What templates ask for is there, though the image says nothing of it. */
const EMPTY_CONFIG = {
  Cmd: null,
  Entrypoint: null,
  Env: null,
  Labels: null,
  OnBuild: null,
  User: '',
  Volumes: null,
  WorkingDir: '',
};

/** A `docker image inspect`. */
export async function inspectImage(
  { store }: Parts,
  nameOrId: string,
  { platform }: { readonly platform?: Platform | undefined } = {},
): Promise<Record<string, unknown>> {
  const image = await imageFor(store.images, nameOrId, { platform, act: 'inspect' });
  const { id, config, manifest, index, names, repoDigests, size } = image;
  return {
    Id: id,
    RepoTags: names.map(familiar),
    RepoDigests: repoDigests.map(familiar),
    Parent: '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: config.created ?? null,
    Author: config.author ?? '',
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: size,
    RootFS: { Type: config.rootfs.type, Layers: config.rootfs.diff_ids },
    Descriptor: index?.descriptor ?? manifest ?? null,
    ...(index
      ? {
          Manifests: index.members.map((member) => ({
            ID: member.id,
            Descriptor: { ...member.manifest, platform: member.platform },
            Kind: 'image',
          })),
        }
      : {}),
    Config: { ...EMPTY_CONFIG, ...config.config },
  };
}

/** Docker's short form, of a name with a tag or a digest. */
function familiar(name: string): string {
  return familiarString(parseReference(name));
}

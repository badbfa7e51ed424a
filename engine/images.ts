import { EngineError } from './base/errors.ts';
import type { Parts } from './connect.ts';
import type { Containers } from './engine.ts';
import { encodedOf } from './image/digest.ts';
import { familiarString, formatReference, parseReference, withDefaultTag } from './image/reference.ts';
import { imageFor } from './image-for.ts';
import type { Platform } from './image/types.ts';
import type { StoredImage, StoredIndex } from './store/index.ts';

/**
 * A `docker rmi`: takes a name away, or the image with its last name. By id, an image with several names needs `force`, and so does one
 * that a container uses.
 *
 * @returns lines as Docker prints them
 * @throws `IMAGE_NOT_FOUND`, `IMAGE_IN_USE`
 */
export async function removeImage(
  { store }: Parts,
  containers: Pick<Containers, 'list'>,
  nameOrId: string,
  { force = false }: { readonly force?: boolean | undefined } = {},
): Promise<readonly string[]> {
  const image = await store.images.resolve(nameOrId);
  const name = nameUsed(image, nameOrId);
  if (name !== undefined && (image.index ?? image).names.length > 1) {
    await store.images.untag(name);
    return [`Untagged: ${name}`];
  }
  if (image.index) return await removeIndex(store, containers, image.index, { force });
  if (name === undefined && image.names.length > 1 && !force) throw severalNames(image, nameOrId);
  await requireUnused(containers, image, force);
  await store.images.remove(image.id);
  return [...image.names.map((each) => `Untagged: ${each}`), `Deleted: ${image.id}`];
}

/** Takes an index away, and those of its images that nothing else holds. */
async function removeIndex(
  store: Parts['store'],
  containers: Pick<Containers, 'list'>,
  { descriptor, members, names }: StoredIndex,
  { force }: { readonly force: boolean },
): Promise<readonly string[]> {
  const images = await Promise.all(members.map(({ id }) => store.images.resolve(id)));
  for (const image of images) await requireUnused(containers, image, force);
  await store.images.removeIndex(descriptor.digest);
  const others = await store.images.indexes();
  const isHeld = (image: StoredImage): boolean =>
    image.names.some((name) => !names.includes(name)) ||
    others.some((other) => other.members.some(({ id }) => id === image.id));
  const gone = images.filter((image) => !isHeld(image));
  for (const { id } of gone) await store.images.remove(id);
  return [
    ...names.map((name) => `Untagged: ${name}`),
    `Deleted: ${descriptor.digest}`,
    ...gone.map(({ id }) => `Deleted: ${id}`),
  ];
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

function severalNames(image: StoredImage, nameOrId: string): EngineError {
  return new EngineError(
    'IMAGE_IN_USE',
    `Cannot remove image ${nameOrId}: it has several names: ${image.names.join(', ')}`,
    {
      hint: 'Remove it by name, or with --force',
    },
  );
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

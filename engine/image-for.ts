import { EngineError } from './base/errors.ts';
import { formatPlatform, isSameMachine } from './image/platform.ts';
import type { Platform } from './image/types.ts';
import type { ImageStore, StoredImage } from './store/index.ts';

/**
 * The image of the store that a name stands for; with a platform, the one for it.
 *
 * @param act what is done with it, for the error: `push`
 * @throws `IMAGE_NOT_FOUND`, `PLATFORM_NOT_FOUND` listing what is there
 */
export async function imageFor(
  images: Pick<ImageStore, 'resolve' | 'findFor'>,
  name: string,
  { platform, act }: { readonly platform: Platform | undefined; readonly act: string },
): Promise<StoredImage> {
  const image = await images.resolve(name);
  if (!platform) return image;
  const { index, ...found } = (await images.findFor(name, platform)) ?? image;
  // The index says which manifest is its own: the image may have been packed otherwise for another name.
  const manifest = index?.members.find(({ id }) => id === found.id)?.manifest ?? found.manifest;
  if (isSameMachine(found.config, platform)) return { ...found, manifest };
  const asked = formatPlatform(platform);
  const there = image.index?.members.map((member) => formatPlatform(member.platform)) ?? [formatPlatform(image.config)];
  const message = `Cannot ${act} ${name} for ${asked}: its platform (${there.join(', ')}) does not match the specified platform (${asked})`;
  throw new EngineError('PLATFORM_NOT_FOUND', message, { hint: `--platform ${there[0] ?? ''}` });
}

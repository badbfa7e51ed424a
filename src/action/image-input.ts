import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, type Digest } from '../../engine/index.ts';

/** Inputs that say how to build; beside `image` nothing is built. */
const BUILD_ONLY = [
  'file',
  'target',
  'build-args',
  'labels',
  'no-cache',
  'pull',
  'secrets',
  'secret-envs',
  'secret-files',
];

/**
 * Input `image`: an image that an earlier step of the job has built, by its digest, its id or its name. It is tested and pushed as it is.
 *
 * @throws `INPUT_INVALID` naming the inputs that make no sense beside it
 */
export function parseImageInput(raw: ReadonlyMap<string, string>): string | undefined {
  const image = (raw.get('image') ?? '').trim();
  if (image === '') return undefined;
  const idle = new Set(['', 'false']);
  const given = BUILD_ONLY.filter((name) => !idle.has((raw.get(name) ?? '').trim()));
  if (given.length === 0) return image;
  throw new EngineError('INPUT_INVALID', `Cannot use input 'image' beside ${given.join(', ')}: nothing is built`, {
    hint: `Delete ${given.length === 1 ? 'the line' : 'the lines'} ${given.join(', ')}, or the line image`,
  });
}

/**
 * Under which cache scope this job's images were built: layers that a build took from the Actions cache without reading them are found there
 * again by a later step that tests or pushes the image.
 */
export interface BuiltScopes {
  remember(imageId: Digest, scope: string): Promise<void>;
  find(imageId: Digest): Promise<string | undefined>;
}

/** @param folder lives as long as the job's store */
export function createBuiltScopes(folder: string): BuiltScopes {
  const pathOf = (imageId: Digest): string => join(folder, imageId.slice('sha256:'.length));
  return {
    remember: async (imageId, scope) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(pathOf(imageId), scope, { mode: 0o600 });
    },
    find: async (imageId) => {
      const text = await readFile(pathOf(imageId), 'utf8').catch(() => '');
      return /^[0-9a-f]{16}$/.test(text) ? text : undefined;
    },
  };
}

/** What is said when there is nothing of that name. */
export function imageMissing(image: string, error: unknown): EngineError {
  return new EngineError(
    'IMAGE_NOT_FOUND',
    `Cannot use input 'image': there is no image ${image} in the store of this job`,
    {
      hint: 'Give the digest output of an earlier step of the same job',
      cause: error,
    },
  );
}

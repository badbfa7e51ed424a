import { createReadStream } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  EngineError,
  formatPlatform,
  isEngineError,
  type ActOptions,
  type Digest,
  type Engine,
} from '../../engine/index.ts';
import type { RunnerContext } from './environment.ts';
import { isLayout, readLayout } from './layout.ts';
import { resolveInputPath } from './paths.ts';

/** Inputs that say how to build; beside `image` nothing is built. */
const BUILD_ONLY = [
  'file',
  'target',
  'build-args',
  'labels',
  'annotations',
  'no-cache',
  'no-cache-filters',
  'pull',
  'secrets',
  'secret-envs',
  'secret-files',
  'build-contexts',
  'outputs',
  'cache-to',
  'platforms',
];

/** Where a given image is. */
export type ImageSource =
  | { readonly kind: 'stored'; readonly reference: string }
  | { readonly kind: 'layout' | 'archive'; readonly path: string };

/** A folder of the workspace is an OCI layout, a file an archive, and anything else is looked for in the job's store. */
export async function findImageSource(image: string, runner: RunnerContext): Promise<ImageSource> {
  const path = /^sha256:/.test(image) ? undefined : await resolveInputPath('image', image, runner).catch(notThere);
  if (path === undefined) return { kind: 'stored', reference: image };
  if ((await stat(path)).isFile()) return { kind: 'archive', path };
  if (await isLayout(path)) return { kind: 'layout', path };
  throw new EngineError('INPUT_INVALID', `Cannot use input 'image': the folder ${image} is no OCI image layout`, {
    hint: 'Give the folder that has the file oci-layout, an archive, or the digest output of an earlier step',
  });
}

/**
 * The id of a given image, or the digest of an index, loaded into the store where it comes from a folder or a file.
 *
 * @throws `IMAGE_NOT_FOUND`; `INPUT_INVALID` for several images; what the engine says of a bad archive
 */
export async function takeImage(source: ImageSource, engine: Engine, act: ActOptions): Promise<Digest> {
  if (source.kind === 'stored') {
    const { id, index } = await engine.images.resolve(source.reference).catch((error: unknown) => {
      throw imageMissing(source.reference, error);
    });
    return index?.descriptor.digest ?? id;
  }
  const { kind, path } = source;
  const bytes = kind === 'layout' ? readLayout(path) : (createReadStream(path) as AsyncIterable<Uint8Array>);
  const images = await engine.images.load(bytes, act);
  const lost = images.flatMap(({ leftOut = [] }) => leftOut.map(formatPlatform));
  if (lost.length > 0) throw partly(path, lost);
  const ids = new Set(images.map(({ id }) => id));
  const [only] = ids;
  if (only !== undefined && ids.size === 1) return only;
  throw new EngineError('INPUT_INVALID', `Cannot use input 'image': ${path} holds ${ids.size} images`, {
    hint: 'Save one image only',
  });
}

/** What would be pushed is less than what was given. */
function partly(path: string, lost: readonly string[]): EngineError {
  return new EngineError(
    'INPUT_INVALID',
    `Cannot use input 'image': the images for ${lost.join(', ')} that ${path} names are not in it, or not whole`,
    { hint: 'Save an index whose images are all there, or the image for one platform' },
  );
}

function notThere(error: unknown): undefined {
  if (isEngineError(error) && error.code === 'PATH_NOT_FOUND') return undefined;
  throw error;
}

/**
 * Input `image`: an image that an earlier step of the job has built, by its digest, its id or its name; or an OCI layout or an archive. It is
 * tested and pushed as it is.
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

function imageMissing(image: string, error: unknown): EngineError {
  return new EngineError(
    'IMAGE_NOT_FOUND',
    `Cannot use input 'image': there is no image ${image} in the store of this job`,
    {
      hint: 'Give the digest output of an earlier step of the same job, or the path of an OCI layout or an archive',
      cause: error,
    },
  );
}

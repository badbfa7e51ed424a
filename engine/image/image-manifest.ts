import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';
import { MAX_CONFIG_SIZE } from './config.ts';
import { isConfigType, isForeignType, isLayerType } from './media-type.ts';
import type { Manifest } from './types.ts';

/**
 * `manifest` when a container can be made of it: an image config of bounded size, and layers that we can unpack.
 *
 * @param what names the image in errors: `nvcr.io/nvidia/cuda:12.6`
 * @throws `NOT_AN_IMAGE` for artifacts, `LAYER_UNSUPPORTED` for foreign and unknown layers, `TOO_LARGE`
 */
export function requireImage(manifest: Manifest, what: string): Manifest {
  const { config, layers } = manifest;
  if (!isConfigType(config.mediaType)) {
    throw new EngineError(
      'NOT_AN_IMAGE',
      `Cannot use ${what} as an image: its config is of type ${escapeControl(config.mediaType)}`,
      {
        hint: 'It is an artifact (a chart, a signature, a model); name an image',
      },
    );
  }
  if (config.size > MAX_CONFIG_SIZE) {
    throw new EngineError(
      'TOO_LARGE',
      `Cannot use ${what}: its config has ${config.size} bytes, over the limit of ${MAX_CONFIG_SIZE}`,
    );
  }
  for (const [i, layer] of layers.entries())
    if (!isLayerType(layer.mediaType)) throw unsupported(what, i, layer.mediaType);
  return manifest;
}

function unsupported(what: string, index: number, mediaType: string): EngineError {
  const foreign = isForeignType(mediaType);
  const state = foreign ? 'is foreign: no registry holds it' : "is of a kind that isn't known";
  return new EngineError(
    'LAYER_UNSUPPORTED',
    `Cannot use ${what}: layer ${index + 1} (${escapeControl(mediaType)}) ${state}`,
    {
      hint: foreign ? 'Images with foreign layers are Windows images; use a Linux one' : undefined,
    },
  );
}

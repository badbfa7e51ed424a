import { EngineError } from '../base/errors.ts';
import { descriptorOf, mediaTypeOf } from './descriptor.ts';
import {
  type Field,
  integerOf,
  invalid,
  isSet,
  listOf,
  member,
  objectOf,
  optional,
  rootField,
  stringMapOf,
} from './fields.ts';
import { readJson } from './json.ts';
import { isGraphType, isIndexType, isSchema1Type, OCI_INDEX, OCI_MANIFEST } from './media-type.ts';
import type { Descriptor, Index, Manifest } from './types.ts';

/** Bytes of the largest manifest or index that is read; the cap of containerd. */
export const MAX_MANIFEST_SIZE = 4 * 1024 * 1024;
/** More layers than any image has; Docker stops at 127. */
export const MAX_LAYERS = 500;
/** More entries than any index has. */
export const MAX_INDEX_ENTRIES = 1000;

/** Content of a registry's `/manifests/`: the manifest of an image or artifact, or an index of such. */
export type GraphNode =
  | { readonly kind: 'manifest'; readonly mediaType: string; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly mediaType: string; readonly index: Index };

export interface ParseOptions {
  /** Names the document in errors: `the manifest of python:3.12`. */
  readonly what: string;
  /** The type by which it was announced: a registry's Content-Type, or a descriptor's mediaType. */
  readonly mediaType?: string | undefined;
}

const KEYS = ['schemaVersion', 'mediaType', 'artifactType', 'config', 'layers', 'manifests', 'subject', 'annotations'];
/** Servers that don't know better say one of these; they say nothing about the shape. */
const VAGUE = new Set(['application/json', 'application/octet-stream', 'text/plain']);

/**
 * Reads a manifest or index. What it says it is, what it was announced as and what it looks like must agree, or two tools see two images.
 *
 * @throws `JSON_INVALID`, `DOCUMENT_INVALID`, `DIGEST_INVALID`, `MANIFEST_UNSUPPORTED` (schema 1, unknown types)
 */
export function parseGraphNode(content: Uint8Array, options: ParseOptions): GraphNode {
  if (content.length > MAX_MANIFEST_SIZE) throw tooLarge(content.length, options.what);
  const field = rootField(readJson(content, options.what), options.what);
  objectOf(field, KEYS);
  refuseSchema1(field, options.mediaType);
  const shape = shapeOf(field);
  const mediaType = agreedType(field, shape, options.mediaType);
  return shape === 'index'
    ? { kind: 'index', mediaType, index: indexOf(field) }
    : { kind: 'manifest', mediaType, manifest: manifestOf(field) };
}

/** Like {@link parseGraphNode}, for a place where only a manifest may stand. @throws also `DOCUMENT_INVALID` for an index */
export function parseManifest(content: Uint8Array, options: ParseOptions): Manifest {
  const node = parseGraphNode(content, options);
  if (node.kind === 'manifest') return node.manifest;
  throw new EngineError('DOCUMENT_INVALID', `Cannot use ${options.what}: it is an index, and a manifest is needed`);
}

/** Like {@link parseGraphNode}, for a place where only an index may stand. @throws also `DOCUMENT_INVALID` for a manifest */
export function parseIndex(content: Uint8Array, options: ParseOptions): Index {
  const node = parseGraphNode(content, options);
  if (node.kind === 'index') return node.index;
  throw new EngineError('DOCUMENT_INVALID', `Cannot use ${options.what}: it is a manifest, and an index is needed`);
}

/** What a node points to, in order: config and layers, or the entries of the index. The `subject` is not content of it. */
export function childrenOf(node: GraphNode): readonly Descriptor[] {
  return node.kind === 'index' ? node.index.manifests : [node.manifest.config, ...node.manifest.layers];
}

function manifestOf(field: Field): Manifest {
  return {
    schemaVersion: 2,
    ...optional(field, 'mediaType', mediaTypeOf),
    ...optional(field, 'artifactType', mediaTypeOf),
    config: descriptorOf(member(field, 'config')),
    layers: listOf(member(field, 'layers'), MAX_LAYERS).map(descriptorOf),
    ...optional(field, 'subject', descriptorOf),
    ...optional(field, 'annotations', stringMapOf),
  };
}

function indexOf(field: Field): Index {
  return {
    schemaVersion: 2,
    ...optional(field, 'mediaType', mediaTypeOf),
    ...optional(field, 'artifactType', mediaTypeOf),
    manifests: listOf(member(field, 'manifests'), MAX_INDEX_ENTRIES).map(descriptorOf),
    ...optional(field, 'subject', descriptorOf),
    ...optional(field, 'annotations', stringMapOf),
  };
}

function refuseSchema1(field: Field, announced: string | undefined): void {
  const isOld = member(field, 'schemaVersion').value === 1 || (announced !== undefined && isSchema1Type(announced));
  if (isOld) {
    throw new EngineError(
      'MANIFEST_UNSUPPORTED',
      `Cannot use ${field.what}: Docker's manifest schema 1 is unsupported`,
      {
        hint: 'Push the image again with a client of this decade',
      },
    );
  }
  if (integerOf(member(field, 'schemaVersion')) !== 2) throw invalid(field, 'schemaVersion must be 2');
}

function shapeOf(field: Field): 'index' | 'manifest' {
  const asIndex = isSet(member(field, 'manifests'));
  const asManifest = isSet(member(field, 'config')) || isSet(member(field, 'layers'));
  if (asIndex && asManifest) throw invalid(field, 'it is ambiguous: it has manifests as well as config or layers');
  if (!asIndex && !asManifest) throw invalid(field, 'it has neither config and layers nor manifests');
  return asIndex ? 'index' : 'manifest';
}

function agreedType(field: Field, shape: 'index' | 'manifest', announced: string | undefined): string {
  const said = isSet(member(field, 'mediaType')) ? mediaTypeOf(member(field, 'mediaType')) : undefined;
  const served = announced === undefined || VAGUE.has(announced) ? undefined : announced;
  if (said !== undefined && served !== undefined && said !== served)
    throw invalid(field, `it was announced as ${served} and says that it is ${said}`);
  const mediaType = said ?? served;
  if (mediaType === undefined) throw invalid(field, 'neither it nor who sent it names its media type');
  if (!isGraphType(mediaType))
    throw new EngineError(
      'MANIFEST_UNSUPPORTED',
      `Cannot use ${field.what}: ${mediaType} is no manifest or index that is known`,
    );
  if (isIndexType(mediaType) !== (shape === 'index'))
    throw invalid(field, `it is called ${mediaType} and looks like ${shape === 'index' ? OCI_INDEX : OCI_MANIFEST}`);
  return mediaType;
}

function tooLarge(size: number, what: string): EngineError {
  return new EngineError(
    'TOO_LARGE',
    `Cannot read ${what}: it has ${size} bytes, over the limit of ${MAX_MANIFEST_SIZE}`,
  );
}

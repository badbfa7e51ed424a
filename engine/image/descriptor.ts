import { digestOf, parseDigest } from './digest.ts';
import {
  type Field,
  integerOf,
  invalid,
  member,
  objectOf,
  optional,
  stringMapOf,
  stringOf,
  stringsOf,
} from './fields.ts';
import { isMediaType } from './media-type.ts';
import type { Descriptor, Digest, Platform } from './types.ts';

const KEYS = ['mediaType', 'digest', 'size', 'platform', 'annotations', 'artifactType', 'urls', 'data'];
const PLATFORM_KEYS = ['architecture', 'os', 'variant', 'os.version', 'os.features'];

/**
 * A descriptor out of a document, with everything checked before it becomes part of a path or URL. Source: image-spec, descriptor.md.
 *
 * @throws `DOCUMENT_INVALID`, `DIGEST_INVALID`, `DIGEST_UNSUPPORTED` naming the field
 */
export function descriptorOf(field: Field): Descriptor {
  objectOf(field, KEYS);
  const descriptor: Descriptor = {
    mediaType: mediaTypeOf(member(field, 'mediaType')),
    digest: digestFieldOf(member(field, 'digest')),
    size: integerOf(member(field, 'size')),
    ...optional(field, 'platform', platformOf),
    ...optional(field, 'annotations', stringMapOf),
    ...optional(field, 'artifactType', mediaTypeOf),
    ...optional(field, 'urls', stringsOf),
    ...optional(field, 'data', stringOf),
  };
  checkData(descriptor, field);
  return descriptor;
}

/** A digest. @throws `DIGEST_INVALID` */
export function digestFieldOf(field: Field): Digest {
  return parseDigest(field.value, `${field.path} of ${field.what}`);
}

/** A media type. @throws `DOCUMENT_INVALID` */
export function mediaTypeOf(field: Field): string {
  const text = stringOf(field);
  if (!isMediaType(text)) throw invalid(field, `${field.path} '${text.slice(0, 80)}' isn't a media type`);
  return text;
}

/** The parts alone that name content: media type, digest and size. */
export function bareDescriptor({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function platformOf(field: Field): Platform {
  objectOf(field, PLATFORM_KEYS);
  return {
    architecture: stringOf(member(field, 'architecture')),
    os: stringOf(member(field, 'os')),
    ...optional(field, 'variant', stringOf),
    ...optional(field, 'os.version', stringOf),
    ...optional(field, 'os.features', stringsOf),
  };
}

/** Embedded content must be the content: else two clients see two images. */
function checkData({ data, digest, size }: Descriptor, field: Field): void {
  if (data === undefined) return;
  const bytes = Buffer.from(data, 'base64');
  if (bytes.toString('base64') !== data) throw invalid(field, `${field.path}.data isn't base64`);
  if (bytes.length !== size)
    throw invalid(field, `${field.path}.data has ${bytes.length} bytes, and size says ${size}`);
  if (digestOf(bytes) !== digest) throw invalid(field, `${field.path}.data isn't the content of ${digest}`);
}

/** True when both name the same content as the same type. */
export function isSameContent(a: Descriptor, b: Descriptor): boolean {
  return a.digest === b.digest && a.size === b.size && a.mediaType === b.mediaType;
}

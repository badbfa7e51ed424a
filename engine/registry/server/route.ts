import { isDigest } from '../../image/digest.ts';
import { MAX_PATH, PATH, TAG } from '../../image/grammar.ts';
import type { Digest } from '../../image/types.ts';
import { Refusal } from './errors.ts';

/** What a path of the API means. */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly repository: string }
  | { readonly kind: 'upload'; readonly repository: string; readonly session: string }
  | { readonly kind: 'manifest'; readonly repository: string; readonly reference: string }
  | { readonly kind: 'tags'; readonly repository: string }
  | { readonly kind: 'referrers'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'catalog' };

const UPLOADS = /^(.+)\/blobs\/uploads\/?$/;
const UPLOAD = /^(.+)\/blobs\/uploads\/([0-9a-f-]{36})$/;
const BLOB = /^(.+)\/blobs\/([^/]+)$/;
const MANIFEST = /^(.+)\/manifests\/([^/]+)$/;
const TAGS = /^(.+)\/tags\/list$/;
const REFERRERS = /^(.+)\/referrers\/([^/]+)$/;

/**
 * Reads a path below `/v2/`; names and digests are checked here, so that none other goes further. Source: distribution-spec, "Endpoints".
 *
 * @throws Refusal `NAME_INVALID`, `DIGEST_INVALID`, `UNSUPPORTED`
 */
export function parseRoute(path: string): Route {
  if (path === '/v2' || path === '/v2/') return { kind: 'base' };
  if (!path.startsWith('/v2/')) throw new Refusal('NAME_UNKNOWN', 'nothing is served outside /v2/');
  const rest = path.slice('/v2/'.length);
  const uploads = UPLOADS.exec(rest);
  if (uploads) return { kind: 'uploads', repository: repositoryOf(uploads) };
  const upload = UPLOAD.exec(rest);
  if (upload) return { kind: 'upload', repository: repositoryOf(upload), session: upload[2] ?? '' };
  const blob = BLOB.exec(rest);
  if (blob) return { kind: 'blob', repository: repositoryOf(blob), digest: digestOf(blob[2]) };
  const manifest = MANIFEST.exec(rest);
  if (manifest)
    return { kind: 'manifest', repository: repositoryOf(manifest), reference: referenceOf(manifest[2] ?? '') };
  const tags = TAGS.exec(rest);
  if (tags) return { kind: 'tags', repository: repositoryOf(tags) };
  const referrers = REFERRERS.exec(rest);
  if (referrers) return { kind: 'referrers', repository: repositoryOf(referrers), digest: digestOf(referrers[2]) };
  if (rest === '_catalog') return { kind: 'catalog' };
  throw new Refusal('NAME_UNKNOWN', 'no such endpoint');
}

function repositoryOf(match: RegExpExecArray): string {
  const name = match[1] ?? '';
  if (name.length <= MAX_PATH && PATH.test(name)) return name;
  throw new Refusal('NAME_INVALID', 'the name is not a repository name');
}

/** @throws Refusal `DIGEST_INVALID` */
export function digestOf(text: string | null | undefined): Digest {
  const digest = decode(text ?? '');
  if (isDigest(digest)) return digest;
  throw new Refusal('DIGEST_INVALID', 'the digest is not sha256: and 64 lower-case hex digits');
}

function referenceOf(text: string): string {
  const reference = decode(text);
  if (reference.includes(':')) return digestOf(reference);
  if (TAG.test(reference)) return reference;
  throw new Refusal('MANIFEST_UNKNOWN', 'the reference is neither tag nor digest');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

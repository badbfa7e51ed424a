// An OCI image layout on disk, and its way to a registry by plain HTTP: enough to serve base images that scripts and tests make.
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor, Digest, Index, Manifest } from '../engine/image/types.ts';

/** A tag of a repository at a registry's origin (`http://127.0.0.1:5000`). */
export interface PushTarget {
  readonly registry: string;
  readonly repository: string;
  readonly reference: string;
}

/** Makes an empty layout. */
export async function writeLayout(layout: string): Promise<void> {
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

/** Adds a blob and gives its descriptor. */
export async function putBlob(layout: string, mediaType: string, content: Uint8Array): Promise<Descriptor> {
  const digest: Digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  await writeFile(blobPath(layout, digest), content);
  return { mediaType, digest, size: content.length };
}

/** Writes `index.json` with the manifest under a tag, which makes the layout complete. */
export async function writeIndex(layout: string, manifest: Descriptor, tag: string): Promise<void> {
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  const index: Index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(join(layout, 'index.json'), JSON.stringify(index));
}

/** Descriptor and content of the layout's one manifest; undefined when there is no complete layout. */
export async function readManifest(
  layout: string,
): Promise<{ readonly descriptor: Descriptor; readonly manifest: Manifest; readonly bytes: Buffer } | undefined> {
  try {
    const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as Index;
    const descriptor = index.manifests[0];
    if (descriptor === undefined) return undefined;
    const bytes = await readFile(blobPath(layout, descriptor.digest));
    return { descriptor, manifest: JSON.parse(bytes.toString('utf8')) as Manifest, bytes };
  } catch {
    return undefined;
  }
}

/**
 * Pushes the layout's image, blobs first.
 *
 * @throws an `Error` that names the request and the status, when the registry refuses one
 */
export async function pushLayout(layout: string, target: PushTarget, signal?: AbortSignal): Promise<Digest> {
  const found = await readManifest(layout);
  if (found === undefined) throw new Error(`Cannot push ${layout}: it is no complete image layout`);
  const { descriptor, manifest, bytes } = found;
  for (const blob of [manifest.config, ...manifest.layers]) await pushBlob(layout, blob, target, signal);
  const url = `${target.registry}/v2/${target.repository}/manifests/${target.reference}`;
  await send(url, { method: 'PUT', body: bytes, headers: { 'content-type': descriptor.mediaType } }, 201, signal);
  return descriptor.digest;
}

async function pushBlob(
  layout: string,
  blob: Descriptor,
  target: PushTarget,
  signal: AbortSignal | undefined,
): Promise<void> {
  const base = `${target.registry}/v2/${target.repository}/blobs`;
  const head = await fetch(`${base}/${blob.digest}`, { method: 'HEAD', ...(signal ? { signal } : {}) });
  if (head.ok) return;
  const session = await send(`${base}/uploads/`, { method: 'POST' }, 202, signal);
  const location = new URL(session.headers.get('location') ?? '', target.registry);
  location.searchParams.set('digest', blob.digest);
  const body = await readFile(blobPath(layout, blob.digest));
  const headers = { 'content-type': 'application/octet-stream' };
  await send(location.href, { method: 'PUT', body, headers }, 201, signal);
}

async function send(
  url: string,
  init: RequestInit,
  expected: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const answer = await fetch(url, { ...init, ...(signal ? { signal } : {}) });
  if (answer.status === expected) return answer;
  const text = (await answer.text()).slice(0, 500);
  throw new Error(`Cannot push to ${url}: wanted status ${expected}, got ${answer.status}: ${text}`);
}

function blobPath(layout: string, digest: Digest): string {
  return join(layout, 'blobs', digest.replace(':', '/'));
}

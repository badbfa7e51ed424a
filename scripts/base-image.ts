// `python:3.11-slim` from Debian packages, for machines that cannot reach Docker Hub. Serves the demo and the end-to-end tests.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Descriptor, Digest, ImageConfig, Manifest } from '../engine/image/types.ts';
import { bootstrap, EPOCH, PACKAGES, SUITE } from './mmdebstrap.ts';
import { pushLayout, putBlob, readManifest, writeIndex, writeLayout } from './oci-layout.ts';

/** Where the stand-in comes from and goes to. */
export interface PythonBaseOptions {
  /** Origin of the registry that gets `library/python:3.11-slim`: `http://127.0.0.1:5000`. */
  readonly registry: string;
  /** Folder that keeps the finished image between runs, absolute. */
  readonly cache: string;
  /** Told one line before something slow begins. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What {@link ensurePythonBase} did. */
export type PythonBaseOutcome = 'there already' | 'pushed from the cache' | 'made and pushed';

/**
 * Makes sure that the registry serves `library/python:3.11-slim`; makes it from Debian packages when neither registry nor cache has it.
 *
 * @throws an `Error` that names the package to install, when mmdebstrap is missing and cannot be installed
 */
export async function ensurePythonBase(options: PythonBaseOptions): Promise<PythonBaseOutcome> {
  const { registry, cache, onLine, signal } = options;
  const target = { registry, repository: 'library/python', reference: '3.11-slim' };
  if (await isServed(target, signal)) return 'there already';
  const layout = join(cache, `python-3.11-slim-${architecture()}`);
  const cached = (await readManifest(layout)) !== undefined;
  if (!cached) {
    onLine?.(
      `python:3.11-slim: Docker Hub is out of reach, making a stand-in from Debian ${SUITE} packages (a minute or two)`,
    );
    await makePythonBase(layout, signal);
  }
  await pushLayout(layout, target, signal);
  return cached ? 'pushed from the cache' : 'made and pushed';
}

/** True when Docker Hub answers within `milliseconds`. */
export async function canReachDockerHub(milliseconds = 5000): Promise<boolean> {
  try {
    const answer = await fetch('https://registry-1.docker.io/v2/', { signal: AbortSignal.timeout(milliseconds) });
    await answer.body?.cancel();
    return answer.status === 200 || answer.status === 401;
  } catch {
    return false;
  }
}

async function isServed(
  target: { readonly registry: string; readonly repository: string; readonly reference: string },
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const answer = await fetch(`${target.registry}/v2/${target.repository}/manifests/${target.reference}`, {
    method: 'HEAD',
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    ...(signal ? { signal } : {}),
  });
  return answer.ok;
}

async function makePythonBase(layout: string, signal: AbortSignal | undefined): Promise<void> {
  await mkdir(dirname(layout), { recursive: true });
  const work = await mkdtemp(`${layout}.part-`);
  try {
    const tar = join(work, 'rootfs.tar');
    await bootstrap(tar, signal);
    const layer = await compress(tar, join(work, 'layer.tar.gz'));
    await rm(tar);
    await assemble(work, layer);
    await rename(join(work, 'layout'), layout).catch(async (error: unknown) => {
      // Another demo beside this one was faster.
      if ((await readManifest(layout)) === undefined) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Layer {
  readonly path: string;
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

async function compress(tar: string, path: string): Promise<Layer> {
  const plain = createHash('sha256');
  await pipeline(
    createReadStream(tar),
    dropDevices,
    async function* (source: AsyncIterable<Uint8Array>) {
      for await (const chunk of source) {
        plain.update(chunk);
        yield chunk;
      }
    },
    createGzip({ level: 6 }),
    createWriteStream(path),
  );
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) {
    hash.update(chunk);
    size += chunk.length;
  }
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  return { path, descriptor: { mediaType, digest, size }, diffId: `sha256:${plain.digest('hex')}` };
}

/**
 * A layer with device nodes cannot be unpacked without root, and every engine mounts its own /dev. mmdebstrap writes them first, each as
 * one block without content, before the files of the root.
 */
async function* dropDevices(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pending = Buffer.alloc(0);
  let inDevices = true;
  for await (const chunk of source) {
    if (!inDevices) {
      yield chunk;
      continue;
    }
    pending = Buffer.concat([pending, chunk]);
    for (; inDevices && pending.length >= BLOCK; pending = pending.subarray(BLOCK)) {
      const name = pending.toString('latin1', 0, pending.indexOf(0));
      inDevices = name.startsWith('./dev/');
      if (!inDevices) break;
      if (name === './dev/') yield pending.subarray(0, BLOCK);
    }
    if (!inDevices) yield pending;
  }
}

const BLOCK = 512;

async function assemble(work: string, layer: Layer): Promise<void> {
  const layout = join(work, 'layout');
  await writeLayout(layout);
  await rename(layer.path, join(layout, 'blobs', layer.descriptor.digest.replace(':', '/')));
  const config = await putBlob(layout, 'application/vnd.oci.image.config.v1+json', toJson(imageConfig(layer.diffId)));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: [layer.descriptor],
  };
  const descriptor = await putBlob(layout, 'application/vnd.oci.image.manifest.v1+json', toJson(manifest));
  await writeIndex(layout, descriptor, '3.11-slim');
}

function imageConfig(diffId: Digest): ImageConfig {
  const created = new Date(EPOCH * 1000).toISOString();
  return {
    created,
    architecture: architecture(),
    os: 'linux',
    config: {
      Env: [
        'PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin',
        'LANG=C.UTF-8',
        'PYTHON_VERSION=3.11.2',
      ],
      Cmd: ['python3'],
      Labels: { 'org.opencontainers.image.title': `python 3.11 from Debian ${SUITE} packages` },
    },
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, created_by: `mmdebstrap --variant=minbase ${SUITE} # ${PACKAGES.join(' ')}` }],
  };
}

function architecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

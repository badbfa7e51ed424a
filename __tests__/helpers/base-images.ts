// Base images for tests: a tiny `busybox` of Debian's static binary, and `python:3.11-slim` of Debian packages.
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';
import { collect } from '../../engine/base/collect.ts';
import { pushLayout, putBlob, writeIndex, writeLayout } from '../../scripts/oci-layout.ts';

export { ensurePythonBase } from '../../scripts/base-image.ts';

/** Where the image of Debian packages is kept between test runs; ignored by git. */
export const BASE_CACHE = resolve(import.meta.dirname, '../../build/base-images');

const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find(existsSync);

/** Why there is no busybox image: a sentence for `test.skip`, or undefined. */
export const NO_BUSYBOX =
  BUSYBOX === undefined ? 'needs busybox-static: sudo apt-get install busybox-static' : undefined;

/**
 * Pushes `library/busybox:latest` to a registry's origin (`http://127.0.0.1:5000`): the static binary, a link for each applet, users
 * root and app (1000), /tmp.
 *
 * @returns the digest of its manifest
 */
export async function pushBusybox(registry: string): Promise<string> {
  if (BUSYBOX === undefined) throw new Error(NO_BUSYBOX);
  const layout = await mkdtemp(join(tmpdir(), 'berth-busybox-'));
  try {
    await writeLayout(layout);
    const tar = await busyboxTar(BUSYBOX);
    const layer = await putBlob(layout, 'application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar));
    const config = {
      created: EPOCH.toISOString(),
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Env: ['PATH=/bin:/usr/bin'], Cmd: ['sh'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(tar).digest('hex')}`] },
      history: [{ created: EPOCH.toISOString(), created_by: 'busybox-static' }],
    };
    const descriptor = await putBlob(layout, 'application/vnd.oci.image.config.v1+json', toJson(config));
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = { schemaVersion: 2, mediaType, config: descriptor, layers: [layer] };
    await writeIndex(layout, await putBlob(layout, mediaType, toJson(manifest)), 'latest');
    return await pushLayout(layout, { registry, repository: 'library/busybox', reference: 'latest' });
  } finally {
    await rm(layout, { recursive: true, force: true });
  }
}

const EPOCH = new Date('2025-01-01T00:00:00Z');

/** The layer's tar; a machine with a dynamic busybox gets an image that cannot run, so it is refused. */
export async function busyboxTar(binary: string): Promise<Buffer> {
  const path = resolve(dirname(binary), await readlink(binary).catch(() => binary));
  const content = await readFile(path);
  if (content.includes('/lib64/ld-linux')) throw new Error(`Cannot use ${path}: it is not static`);
  const archive = pack();
  const add = (header: Partial<Header> & { readonly name: string }, body = ''): void => {
    archive.entry({ mtime: EPOCH, uid: 0, gid: 0, ...header }, body);
  };
  for (const name of ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'usr', 'usr/bin', 'var']) {
    add({ name: `${name}/`, type: 'directory', mode: name === 'root' ? 0o700 : 0o755 });
  }
  add({ name: 'tmp/', type: 'directory', mode: 0o1777 });
  add(
    { name: 'etc/passwd', mode: 0o644 },
    'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\napp:x:1000:1000::/home:/bin/sh\n',
  );
  add({ name: 'etc/group', mode: 0o644 }, 'root:x:0:\ndaemon:x:1:\napp:x:1000:\n');
  archive.entry({ name: 'bin/busybox', mode: 0o755, mtime: EPOCH, uid: 0, gid: 0 }, content);
  for (const applet of appletsOf(path)) add({ name: `bin/${applet}`, type: 'symlink', linkname: 'busybox' });
  archive.finalize();
  return await collect(archive as AsyncIterable<Uint8Array>, 'the busybox layer', 64 << 20);
}

function appletsOf(binary: string): readonly string[] {
  const { stdout } = spawnSync(binary, ['--list'], { encoding: 'utf8' });
  return stdout.split('\n').filter((name) => /^[\w[.-]+$/.test(name) && name !== 'busybox');
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

import { mkdir, stat } from 'node:fs/promises';
import { isAbsolute, posix } from 'node:path';
import { EngineError, messageOf } from '../base/errors.ts';
import type { Mount } from '../engine.ts';
import type { ContainerConfig } from '../image/types.ts';
import type * as oci from '../native/protocol.ts';

/** Mounts of a container, sorted out. */
export interface ResolvedMounts {
  readonly mounts: readonly oci.Mount[];
  /**
   * Anonymous volumes: directories in the container's own writable layer, with what the image has there; they go with the container.
   */
  readonly anonymous: readonly string[];
}

/**
 * Turns what was asked for and the image's VOLUMEs into mounts; a missing host directory of `-v` is made, as Docker does.
 *
 * @throws `MOUNT_REFUSED`, `MOUNT_SOURCE_MISSING`, `DUPLICATE_MOUNT` naming the mount
 */
export async function resolveMounts(
  asked: readonly Mount[],
  config: ContainerConfig,
  { readonly: readonlyRoot }: { readonly readonly: boolean },
): Promise<ResolvedMounts> {
  const targets = asked.map(({ target }) => cleanTarget(target));
  const twice = targets.find((target, index) => targets.indexOf(target) !== index);
  if (twice !== undefined) throw new EngineError('DUPLICATE_MOUNT', `Cannot mount on ${twice}: duplicate mount point`);
  const implied = Object.keys(config.Volumes ?? {}).map(cleanTarget);
  const anonymous = [
    ...asked
      .filter(({ type, source }) => type === 'volume' && source === undefined)
      .map(({ target }) => cleanTarget(target)),
    ...implied.filter((target) => !targets.includes(target)),
  ];
  if (readonlyRoot && anonymous[0] !== undefined) {
    throw new EngineError(
      'MOUNT_REFUSED',
      `Cannot make volume ${anonymous[0]} writable: the root file system is read-only`,
      {
        hint: `mount something there: -v /a/directory:${anonymous[0]} or --tmpfs ${anonymous[0]}`,
      },
    );
  }
  return { mounts: (await Promise.all(asked.map(toMount))).flat(), anonymous: [...new Set(anonymous)] };
}

async function toMount(mount: Mount): Promise<readonly oci.Mount[]> {
  const destination = cleanTarget(mount.target);
  if (mount.type === 'tmpfs') return [tmpfs(mount, destination)];
  if (mount.type === 'volume') {
    if (mount.source === undefined) return [];
    throw new EngineError('MOUNT_REFUSED', `Cannot use volume "${mount.source}": named volumes are not supported yet`, {
      hint: `bind a directory: -v "$PWD/${mount.source}:${destination}"`,
    });
  }
  const source = await bindSource(mount);
  return [{ destination, type: 'bind', source, options: ['rbind', 'rprivate', mount.readonly ? 'ro' : 'rw'] }];
}

function tmpfs(mount: Mount, destination: string): oci.Mount {
  const options = ['nosuid', 'nodev', ...(mount.readonly ? ['ro'] : [])];
  if (mount.size !== undefined) options.push(`size=${mount.size}`);
  options.push(`mode=${(mount.mode ?? 0o1777).toString(8)}`);
  return { destination, type: 'tmpfs', source: 'tmpfs', options };
}

async function bindSource(mount: Mount): Promise<string> {
  const { source } = mount;
  if (source === undefined || !isAbsolute(source)) {
    throw new EngineError(
      'MOUNT_REFUSED',
      `Cannot bind "${source ?? ''}" on ${mount.target}: the host path must be absolute`,
    );
  }
  if (await exists(source)) return source;
  if (!mount.createSource) {
    throw new EngineError('MOUNT_SOURCE_MISSING', `Cannot bind ${source}: bind source path does not exist`, {
      hint: `mkdir -p ${source}, or use -v, which makes it`,
    });
  }
  await mkdir(source, { recursive: true }).catch((error: unknown) => {
    throw new EngineError('MOUNT_SOURCE_MISSING', `Cannot make ${source} to bind it: ${messageOf(error)}`, {
      cause: error,
    });
  });
  return source;
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function cleanTarget(target: string): string {
  const clean = posix.normalize(target).replace(/(.)\/+$/, '$1');
  if (!clean.startsWith('/') || clean === '/') {
    throw new EngineError(
      'MOUNT_REFUSED',
      `Cannot mount on "${target}": the destination must be an absolute path below /`,
    );
  }
  return clean;
}

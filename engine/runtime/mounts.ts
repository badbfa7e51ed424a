import { stat } from 'node:fs/promises';
import { isAbsolute, posix } from 'node:path';
import { EngineError, messageOf } from '../base/errors.ts';
import { makeFolders } from '../base/folders.ts';
import { isMissing } from '../base/missing.ts';
import type { Mount } from '../engine.ts';
import type { ContainerConfig } from '../image/types.ts';
import type * as oci from '../native/protocol.ts';
import type { Found } from './list.ts';
import { anonymousName, checkVolumeName, volumeData } from './volume-names.ts';
import { mountOrigin, type VolumeOrigin } from './volume-options.ts';
import type { VolumeUse } from './volumes.ts';

/** Mounts of a container, sorted out. */
export interface ResolvedMounts {
  readonly mounts: readonly oci.Mount[];
  /** Volumes to make before it starts; each is one of `mounts`. */
  readonly volumes: readonly VolumeUse[];
}

/** Where volumes lie. */
export interface VolumePlace {
  readonly root: string;
  readonly idMapName: string;
}

/**
 * Turns what was asked for and the image's VOLUMEs into mounts; a missing host directory of `-v` is made, as Docker does.
 *
 * @throws `MOUNT_REFUSED`, `MOUNT_SOURCE_MISSING`, `DUPLICATE_MOUNT`, `INVALID_NAME` naming the mount
 */
export async function resolveMounts(
  asked: readonly Mount[],
  config: ContainerConfig,
  place: VolumePlace,
  readOriginsOf: (names: readonly string[]) => Promise<ReadonlyMap<string, VolumeOrigin>> = async () => new Map(),
): Promise<ResolvedMounts> {
  const targets = asked.map(({ target }) => cleanTarget(target));
  const twice = targets.find((target, index) => targets.indexOf(target) !== index);
  if (twice !== undefined) throw new EngineError('DUPLICATE_MOUNT', `Cannot mount on ${twice}: duplicate mount point`);
  const implied = [...new Set(Object.keys(config.Volumes ?? {}).map(cleanTarget))]
    .filter((target) => !targets.includes(target))
    .map((target): Mount => ({ type: 'volume', target }));
  const all = [...asked, ...implied];
  const named = all.filter(({ type }) => type === 'volume');
  const origins = await readOriginsOf(named.flatMap(({ source }) => source ?? []));
  const volumes = named.map((mount) => toUse(mount, origins));
  const others = await Promise.all(all.filter(({ type }) => type !== 'volume').map(toMount));
  const binds = await Promise.all(volumes.map((use) => bindVolume(use, place)));
  return { mounts: [...others, ...binds], volumes };
}

/** Volumes and binds of another container, for `--volumes-from`; its anonymous volumes go with the last one that has them. */
export function mountsFrom({ record }: Found, readonly?: boolean): readonly Mount[] {
  const binds = (record.spec.mounts ?? []).filter(({ type }) => type === 'bind');
  const volumes = (record.volumes ?? []).map((use): Mount => ({
    type: 'volume',
    source: use.name,
    target: use.target,
    readonly: use.readonly,
    anonymous: use.anonymous,
  }));
  return [...binds, ...volumes].map((mount) =>
    readonly === undefined ? mount : { ...mount, readonly: readonly || mount.readonly },
  );
}

function toUse(
  { source, target, readonly, nocopy, labels, anonymous = false }: Mount,
  origins: ReadonlyMap<string, VolumeOrigin>,
): VolumeUse {
  const origin = source === undefined ? undefined : origins.get(source);
  return {
    name: source === undefined ? anonymousName() : checkVolumeName(source),
    target: cleanTarget(target),
    anonymous: anonymous || source === undefined,
    ...(source === undefined ? { invented: true } : {}),
    ...(readonly ? { readonly } : {}),
    ...(nocopy ? { nocopy } : {}),
    ...(labels ? { labels } : {}),
    ...(origin ? { origin } : {}),
  };
}

async function bindVolume(use: VolumeUse, place: VolumePlace): Promise<oci.Mount> {
  const { name, target, readonly, origin } = use;
  if (origin) return await mountOrigin(origin, use);
  const options = ['rbind', 'rprivate', readonly ? 'ro' : 'rw'];
  return { destination: target, type: 'bind', source: volumeData(place, name), options };
}

async function toMount(mount: Mount): Promise<oci.Mount> {
  const destination = cleanTarget(mount.target);
  if (mount.type === 'tmpfs') return tmpfs(mount, destination);
  const source = await bindSource(mount);
  const { recursive = 'enabled', propagation = 'rprivate' } = mount;
  const access = !mount.readonly ? 'rw' : recursive === 'readonly' ? 'rro' : 'ro';
  return {
    destination,
    type: 'bind',
    source,
    options: [recursive === 'disabled' ? 'bind' : 'rbind', propagation, access],
  };
}

function tmpfs(mount: Mount, destination: string): oci.Mount {
  const words = mount.tmpfs ?? [];
  // Docker's, where the user says nothing else.
  const held = ['noexec', 'nosuid', 'nodev'].filter(
    (word) => !words.includes(word.replace(/^no/, '')) && !words.includes(word),
  );
  const options = [...held, ...words, ...(mount.readonly ? ['ro'] : [])];
  if (mount.size !== undefined) options.push(`size=${mount.size}`);
  // Without one, a directory that is there keeps its permissions, and a new one is open to all.
  if (mount.mode !== undefined) options.push(`mode=${mount.mode.toString(8)}`);
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
    throw new EngineError('MOUNT_SOURCE_MISSING', `Cannot bind ${source}: bind source path does not exist: ${source}`, {
      hint: `mkdir -p ${source}, or use -v, which makes it`,
    });
  }
  await makeFolders(source).catch((error: unknown) => {
    throw new EngineError('MOUNT_SOURCE_MISSING', `Cannot make ${source} to bind it: ${messageOf(error)}`, {
      cause: error,
    });
  });
  return source;
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    // What this process may not look at, the helper may; it says what is wrong.
    (error: unknown) => !isMissing(error),
  );
}

function cleanTarget(target: string): string {
  const clean = posix.normalize(target).replace(/(.)\/+$/, '$1');
  if (!clean.startsWith('/') || clean === '/') {
    throw new EngineError(
      'MOUNT_REFUSED',
      `Cannot mount on "${target}": invalid specification: destination can't be '/', and must be an absolute path`,
    );
  }
  return clean;
}

import type { FileChange } from '../../engine/index.ts';
import type { Written } from './report.ts';
import type { Mask } from './text.ts';

const MAX_PATHS = 10;

/** The paths of a diff, those below a new folder told by the folder; the engine's own mount points are no doing of the container. */
export function writtenBy(changes: readonly FileChange[], mask: Mask): Written {
  const own = changes.filter(({ path }) => !ENGINE_FILES.has(path));
  const added = new Set(own.filter(({ kind }) => kind === 'added').map(({ path }) => path));
  const isParent = (path: string): boolean =>
    own.some((other) => other.path !== path && other.path.startsWith(`${path}/`));
  const tops = own.filter(({ path, kind }) => !hasAddedParent(path, added) && (kind !== 'changed' || !isParent(path)));
  return {
    count: own.length,
    paths: tops.slice(0, MAX_PATHS).map(({ path, kind }) => mask(kind === 'deleted' ? `${path} (deleted)` : path)),
  };
}

const ENGINE_FILES: ReadonlySet<string> = new Set(
  '/dev /etc /etc/hosts /etc/hostname /etc/resolv.conf /etc/mtab /proc /run /sys /dev/console /dev/pts /dev/shm /dev/mqueue'.split(
    ' ',
  ),
);

function hasAddedParent(path: string, added: ReadonlySet<string>): boolean {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    if (added.has(path.slice(0, at))) return true;
  }
  return false;
}

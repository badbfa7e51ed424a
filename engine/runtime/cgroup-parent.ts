import { EngineError } from '../base/errors.ts';
import { escapeControl } from '../base/escape.ts';

/**
 * The cgroup of a container below `--cgroup-parent`, which is made where it is missing and stays, as with Docker; undefined without one.
 *
 * @throws `CGROUP_REFUSED` for a path that leads out of the hierarchy, and for a slice of systemd
 */
export function cgroupBelow(parent: string | undefined, id: string): string | undefined {
  if (parent === undefined || parent === '') return undefined;
  const parts = parent.split('/').filter(Boolean);
  const refused = (why: string): EngineError =>
    new EngineError('CGROUP_REFUSED', `Cannot use --cgroup-parent ${escapeControl(parent)}: ${why}`, {
      hint: 'give a path from the root of the hierarchy, such as /jobs/mine',
    });
  if (parts.length === 0) throw refused('it names no cgroup');
  if (/\p{Cc}/u.test(parent)) throw refused('a path has no control characters here');
  if (parts.some((part) => part === '.' || part === '..' || part.startsWith('cgroup.'))) {
    throw refused('it does not lie below the root of the hierarchy');
  }
  if (parts.some((part) => part.endsWith('.slice'))) throw refused('slices of systemd are not asked for here');
  return `/${[...parts, id].join('/')}`;
}

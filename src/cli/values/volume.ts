import { isAbsolute, resolve } from 'node:path';
import type { Mount } from '../../../engine/index.ts';
import { UsageError } from '../usage-error.ts';
import { absolute, toMode } from './mount-fields.ts';
import { parseSize } from './size.ts';

/** `-v`: `/host:/container[:options]`, `name:/container`, or `/container` for an anonymous volume. A relative host path is Docker's `./x`. */
export function parseVolume(text: string, cwd: string): Mount {
  const [first = '', second, options = '', ...rest] = text.split(':');
  if (rest.length > 0 || first === '' || second === '') throw new UsageError(`invalid volume specification: '${text}'`);
  if (second === undefined) return { type: 'volume', target: absolute(first, text) };
  const target = absolute(second, text);
  if (isAbsolute(first) || first.startsWith('.')) {
    return {
      type: 'bind',
      source: resolve(cwd, first),
      target,
      createSource: true,
      ...volumeOptions(options, text, false),
    };
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(first)) {
    throw new UsageError(
      `"${first}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
      'to bind a host directory, give an absolute path',
    );
  }
  return { type: 'volume', source: first, target, ...volumeOptions(options, text, true) };
}

/** `--tmpfs /path[:size=64m,mode=1777,ro]`. */
export function parseTmpfs(text: string): Mount {
  const [target = '', options = '', ...rest] = text.split(':');
  if (rest.length > 0) throw new UsageError(`invalid tmpfs specification: '${text}'`);
  let mount: Mount = { type: 'tmpfs', target: absolute(target, text) };
  for (const option of options.split(',').filter(Boolean)) {
    const [name = '', value] = option.split('=');
    if (name === 'size' && value !== undefined) mount = { ...mount, size: parseSize(value) };
    else if (name === 'mode' && value !== undefined) mount = { ...mount, mode: toMode(value, 'mode') };
    else if (name === 'ro') mount = { ...mount, readonly: true };
    else if (TMPFS.has(name) || (TMPFS_VALUES.has(name) && /^\d+[kmg]?$/.test(value ?? ''))) {
      mount = { ...mount, tmpfs: [...(mount.tmpfs ?? []), option] };
    } else if (name !== 'rw') {
      throw new UsageError(
        `invalid tmpfs option "${option}"`,
        `size=, mode=, ro, rw, ${[...TMPFS, ...TMPFS_VALUES].join(', ')} are known`,
      );
    }
  }
  return mount;
}

const TMPFS = new Set('exec noexec suid nosuid dev nodev noatime nodiratime relatime strictatime'.split(' '));
const TMPFS_VALUES = new Set('uid gid nr_inodes nr_blocks'.split(' '));

/** `container[:ro|rw]`, of `--volumes-from`. */
export function parseVolumesFrom(text: string): { readonly container: string; readonly readonly?: boolean } {
  const [container = '', mode, ...rest] = text.split(':');
  if (
    container === '' ||
    rest.length > 0 ||
    (mode !== undefined && mode !== 'ro' && mode !== 'rw' && mode !== 'z' && mode !== 'Z')
  ) {
    throw new UsageError(
      `invalid volumes-from specification: '${text}'`,
      'wanted CONTAINER, CONTAINER:ro or CONTAINER:rw',
    );
  }
  return mode === 'ro' ? { container, readonly: true } : { container };
}

/** What the words behind a volume's path ask for. */
interface VolumeOptions {
  readonly readonly: boolean;
  readonly nocopy?: boolean;
  readonly propagation?: 'rprivate' | 'private' | 'rslave' | 'slave';
}

function volumeOptions(options: string, text: string, named: boolean): VolumeOptions {
  let found: VolumeOptions = { readonly: false };
  const words = options.split(',').filter(Boolean);
  if (words.filter((word) => ['ro', 'rw', 'readonly'].includes(word)).length > 1) {
    throw new UsageError(`invalid mode in '${text}': it is read-only or not: ${options}`, 'ro or rw');
  }
  for (const option of words) {
    if (option === 'ro' || option === 'readonly') found = { ...found, readonly: true };
    else if (option === 'nocopy' && named) found = { ...found, nocopy: true };
    else if (isPropagation(option) && !named) found = { ...found, propagation: option };
    else if (/^r?shared$/.test(option)) {
      throw new UsageError(
        `Cannot use ${option} in '${text}': mounts of a container are never shown to the host`,
        'rslave shows the container what the host mounts later',
      );
    }
    // z and Z relabel for SELinux, and consistency only ever meant something on a Mac: here, as with Docker, they change nothing.
    else if (!['rw', 'z', 'Z', 'consistent', 'cached', 'delegated', 'default'].includes(option)) {
      throw new UsageError(
        `invalid mode in '${text}': "${option}" is unknown`,
        'ro, rw, nocopy, rprivate and rslave are known',
      );
    }
  }
  return found;
}

function isPropagation(word: string): word is NonNullable<VolumeOptions['propagation']> {
  return ['rprivate', 'private', 'rslave', 'slave'].includes(word);
}

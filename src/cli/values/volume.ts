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
  const readonly = volumeOptions(options, text);
  if (isAbsolute(first)) return { type: 'bind', source: first, target, readonly, createSource: true };
  if (/^\.{0,2}\//.test(`${first}/`) || first.startsWith('.')) {
    return { type: 'bind', source: resolve(cwd, first), target, readonly, createSource: true };
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(first)) {
    throw new UsageError(
      `"${first}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
      'to bind a host directory, give an absolute path',
    );
  }
  return { type: 'volume', source: first, target, readonly };
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
    else if (!['rw', 'nosuid', 'nodev'].includes(name)) {
      throw new UsageError(`Cannot use tmpfs option "${option}": not supported yet`, 'size=, mode=, ro and rw are');
    }
  }
  return mount;
}

function volumeOptions(options: string, text: string): boolean {
  let readonly = false;
  for (const option of options.split(',').filter(Boolean)) {
    if (option === 'ro') readonly = true;
    // z and Z relabel for SELinux; where it is off, as here, they mean nothing to Docker either.
    else if (!['rw', 'rprivate', 'z', 'Z'].includes(option)) {
      throw new UsageError(`invalid mode in '${text}': "${option}" is unknown or not supported yet`, 'ro and rw are');
    }
  }
  return readonly;
}

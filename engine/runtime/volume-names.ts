import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { EngineError } from '../base/errors.ts';

/** A name for a volume that got none: 64 hex digits, as Docker's. */
export function anonymousName(): string {
  return randomBytes(32).toString('hex');
}

/** @throws `INVALID_NAME` unless `name` follows Docker's grammar */
export function checkVolumeName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) && name.length <= 255) return name;
  throw new EngineError(
    'INVALID_NAME',
    `Cannot use volume name "${name}": includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed, two at least`,
    { hint: 'to bind a host directory, give an absolute path' },
  );
}

/** Where a volume's content lies on the host, in the store of one id map. */
export function volumeData(
  { root, idMapName }: { readonly root: string; readonly idMapName: string },
  name: string,
): string {
  return posix.join(root, 'volumes', idMapName, name, '_data');
}

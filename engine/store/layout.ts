import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { EngineError } from '../base/errors.ts';
import { makeFolders } from '../base/folders.ts';
import type { StoreLocation } from '../native/protocol.ts';
import { isRecord, readJson, readText, replaceFile, storeError } from './files.ts';

/** Version of what lies below the root; a newer one is refused by name. */
export const LAYOUT_VERSION = 1;

const FOLDERS = [
  'blobs/sha256',
  'images',
  'records/layers',
  'records/cache',
  'records/context',
  'records/downloads',
  'records/repositories',
  'ingest',
  'snapshots',
  'containers',
  'volumes',
  'networks',
  'cache-mounts',
  'locks',
  'run',
];

/**
 * Makes or checks the folders below BERTH_ROOT (DESIGN.md 7). The root is private to its owner: containers never walk host paths, the helper
 * mounts their layers for them.
 *
 * @throws `STORE_VERSION` for a layout of a newer berth; `STORE_OWNER` when it is somebody else's; `STORE_INVALID`
 */
export async function openLayout(root: string): Promise<StoreLocation> {
  if (!isAbsolute(root))
    throw new EngineError('STORE_INVALID', `Cannot open the store ${root}: the path is not absolute`);
  try {
    if (!existsSync(root)) await makeFolders(root, 0o700);
    const owner = checkRoot(root);
    await checkVersion(root);
    // At once: most are there, which takes less than asking another thread.
    for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true, mode: 0o755 });
    if (readText(join(root, 'oci-layout')) === undefined) {
      await replaceFile(join(root, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    }
    return owner;
  } catch (error) {
    throw storeError('open the store', root, error);
  }
}

function checkRoot(root: string): StoreLocation {
  const { uid, gid, ...found } = lstatSync(root);
  if ((found.mode & 0o170000) !== 0o040000) {
    throw new EngineError('STORE_INVALID', `Cannot open the store ${root}: it is not a folder`, {
      hint: 'Set BERTH_ROOT to a folder; a symbolic link is not followed',
    });
  }
  if (uid !== process.getuid?.()) {
    throw new EngineError('STORE_OWNER', `Cannot open the store ${root}: it belongs to uid ${uid}`, {
      hint: `Run berth as that user, or set BERTH_ROOT to a folder of yours`,
    });
  }
  return { root, uid, gid };
}

async function checkVersion(root: string): Promise<void> {
  const path = join(root, 'store.json');
  const file = readJson(path);
  if ('missing' in file) return replaceFile(path, JSON.stringify({ version: LAYOUT_VERSION }));
  const version = 'value' in file && isRecord(file.value) ? file.value.version : undefined;
  if (version === LAYOUT_VERSION) return;
  if (typeof version === 'number' && version > LAYOUT_VERSION) {
    throw new EngineError(
      'STORE_VERSION',
      `Cannot open the store ${root}: it has layout version ${version}, this berth knows ${LAYOUT_VERSION}`,
      { hint: 'Update berth, or set BERTH_ROOT to another folder' },
    );
  }
  throw new EngineError('STORE_INVALID', `Cannot open the store ${root}: store.json does not say its version`, {
    hint: `Set BERTH_ROOT to another folder, or remove ${root} if nothing in it is needed`,
  });
}

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHelper, createLauncher, type Helper } from '../../engine/native/index.ts';
import { openLayout, openStore, type Store } from '../../engine/store/index.ts';
import { HELPER } from './berth.ts';

/** Why a test that needs the helper cannot run here; undefined when it can. */
export const NO_HELPER = existsSync(HELPER) ? undefined : `no helper at ${HELPER}: npm run build`;

/** A store in a folder of its own. */
export interface TestStore {
  readonly root: string;
  readonly store: Store;
  /** The helper of rung `root`. */
  readonly helper: Helper;
  readonly warnings: string[];
  /** Another engine's view of the same store. */
  readonly again: () => Promise<TestStore>;
  readonly remove: () => Promise<void>;
}

/** Opens a fresh store, or another view of the one at `root`: that of all, or of a scope. */
export async function openTestStore(root?: string, scope?: string): Promise<TestStore> {
  const place = root ?? join(await mkdtemp(join(tmpdir(), 'berth-store-')), 'store');
  const location = await openLayout(place);
  const helper = createHelper(createLauncher({ path: HELPER }), {
    store: location,
    idMap: { kind: 'root' },
    elevation: 'direct',
  });
  const warnings: string[] = [];
  const store = openStore(location, {
    lockHelper: helper,
    host: { os: 'linux', architecture: 'amd64' },
    scope,
    onWarning: (message) => warnings.push(message),
  });
  return {
    root: place,
    store,
    helper,
    warnings,
    again: () => openTestStore(place),
    remove: async () => {
      await store.close();
      await rm(join(place, '..'), { recursive: true, force: true });
    },
  };
}

/** Runs the tests when the helper is there, else names the reason in the report. */
export function withHelper(
  name: string,
  tests: () => void,
  describe: { (name: string, tests: () => void): void; skip: (name: string, tests: () => void) => void },
): void {
  if (NO_HELPER === undefined) describe(name, tests);
  else describe.skip(`${name} (skipped: ${NO_HELPER})`, tests);
}

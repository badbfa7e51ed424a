import { describe, expect, test } from '@jest/globals';
import { mkdir, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { collectIntended, type Connection } from '../../../engine/runtime/index.ts';
import { intendVolumes } from '../../../engine/runtime/intended.ts';
import { openTestStore, withHelper, type TestStore } from '../../helpers/store.ts';

withHelper(
  'anonymous volumes of a container that never came to be',
  () => {
    const uses = [
      { name: 'a'.repeat(64), target: '/data', anonymous: true, invented: true },
      { name: 'b'.repeat(64), target: '/of-another', anonymous: true },
      { name: 'kept', target: '/kept', anonymous: false },
    ];
    const make = async (
      it: TestStore,
    ): Promise<{ connection: Connection; volumes: () => Promise<readonly string[]> }> => {
      for (const { name } of uses) await it.helper.call('volume', { action: { kind: 'create', name, record: '{}' } });
      const volumes = async (): Promise<readonly string[]> =>
        (await it.helper.call('volume', { action: { kind: 'list', measure: false } })).volumes
          .map(({ name }) => name)
          .sort();
      // Type: what the volumes need of a connection.
      return { connection: { helper: it.helper, root: it.root } as Connection, volumes };
    };
    /** Lets the notes be as old as those of a command that was killed long ago. */
    const age = async ({ root }: TestStore): Promise<void> => {
      const folder = join(root, 'run');
      for (const name of await readdir(folder)) await utimes(join(folder, name), 1, 1);
    };
    const all = uses.map(({ name }) => name);

    test('are collected by a later command, and those with a name or of another container stay', async () => {
      const it = await openTestStore();
      const { connection, volumes } = await make(it);
      await intendVolumes(connection, 'c1', uses);
      await collectIntended(connection, it.store.locks);
      // A helper that has just been asked may still start with them.
      expect(await volumes()).toEqual(all);
      await age(it);
      // Type: what is read of a helper with another id map.
      const other = { ...connection, helper: { ...it.helper, idMapName: 'another' } } as Connection;
      await collectIntended(other, it.store.locks);
      expect(await volumes()).toEqual(all);
      await collectIntended(connection, it.store.locks);
      expect(await volumes()).toEqual(all.slice(1));
      expect(await readdir(join(it.root, 'run'))).toEqual([]);
      await it.remove();
    });

    test('wait while a container is made, and stay when it is there', async () => {
      const it = await openTestStore();
      const { connection, volumes } = await make(it);
      const settled = await intendVolumes(connection, 'c1', uses);
      await age(it);
      await it.store.locks.with('containers', 'exclusive', async () => {
        const other = await it.again();
        await collectIntended(connection, other.store.locks);
        await other.store.close();
      });
      await mkdir(join(it.root, 'containers/c1'));
      await collectIntended(connection, it.store.locks);
      expect(await volumes()).toEqual(all);
      await settled();
      await rm(join(it.root, 'containers/c1'), { recursive: true });
      await collectIntended(connection, it.store.locks);
      expect(await volumes()).toEqual(all);
      await it.remove();
    });
  },
  describe,
);

import { describe, expect, test } from '@jest/globals';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { collectIntended, type Connection } from '../../../engine/runtime/index.ts';
import { intendVolumes } from '../../../engine/runtime/intended.ts';
import { openTestStore, withHelper, type TestStore } from '../../helpers/store.ts';

withHelper(
  'anonymous volumes of a container that never came to be',
  () => {
    const uses = [
      { name: 'a'.repeat(64), target: '/data', anonymous: true },
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

    test('are collected by the next command, and those with a name stay', async () => {
      const it = await openTestStore();
      const { connection, volumes } = await make(it);
      await intendVolumes(connection, 'c1', uses);
      await collectIntended(connection, it.store.locks);
      expect(await volumes()).toEqual(['kept']);
      expect(await readdir(join(it.root, 'run'))).toEqual([]);
      await it.remove();
    });

    test('wait while a container is made, and stay when it is there', async () => {
      const it = await openTestStore();
      const { connection, volumes } = await make(it);
      const settled = await intendVolumes(connection, 'c1', uses);
      await it.store.locks.with('containers', 'exclusive', async () => {
        const other = await it.again();
        await collectIntended(connection, other.store.locks);
        await other.store.close();
      });
      await mkdir(join(it.root, 'containers/c1'));
      await collectIntended(connection, it.store.locks);
      expect(await volumes()).toEqual([uses[0]?.name, 'kept']);
      await settled();
      await rm(join(it.root, 'containers/c1'), { recursive: true });
      await collectIntended(connection, it.store.locks);
      expect(await volumes()).toEqual([uses[0]?.name, 'kept']);
      await it.remove();
    });
  },
  describe,
);

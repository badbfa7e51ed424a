import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openTestStore, withHelper, type TestStore } from '../../helpers/store.ts';

let one: TestStore;
let two: TestStore;
beforeEach(async () => {
  one = await openTestStore();
  two = await one.again();
});
afterEach(async () => {
  await two.store.close();
  await one.remove();
});

/** A promise and what settles it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

withHelper(
  'locks',
  () => {
    test('let one engine in at a time when they are exclusive', async () => {
      let inside = 0;
      let most = 0;
      const act = async (): Promise<void> => {
        most = Math.max(most, (inside += 1));
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
      };
      const engines = [one, two];
      await Promise.all(
        Array.from({ length: 10 }, (_, at) => (engines[at % 2] ?? one).store.locks.with('image', 'exclusive', act)),
      );
      expect(most).toBe(1);
    });

    test('let several in when they are shared, also twice in one act', async () => {
      const { opened, open } = gate();
      const first = one.store.locks.with('store', 'shared', () =>
        one.store.locks.with('store', 'shared', () => opened),
      );
      await two.store.locks.with('store', 'shared', async () => open());
      await first;
    });

    test('hold an exclusive act back until the shared ones of another engine have ended', async () => {
      const order: string[] = [];
      const [inside, leave] = [gate(), gate()];
      const shared = one.store.locks.with('store', 'shared', async () => {
        inside.open();
        await leave.opened;
        order.push('shared');
      });
      await inside.opened;
      const exclusive = two.store.locks.with('store', 'exclusive', async () => void order.push('exclusive'));
      leave.open();
      await Promise.all([shared, exclusive]);
      expect(order).toEqual(['shared', 'exclusive']);
    });

    test('are free again when the act fails', async () => {
      const failing = one.store.locks.with('store', 'exclusive', () => Promise.reject(new Error('no')));
      await expect(failing).rejects.toThrow('no');
      expect(await two.store.locks.with('store', 'exclusive', async () => 'free')).toBe('free');
    });

    test('stop waiting with the reason of the signal, and can be taken afterwards', async () => {
      const [inside, leave] = [gate(), gate()];
      const holder = one.store.locks.with('store', 'exclusive', async () => {
        inside.open();
        await leave.opened;
      });
      await inside.opened;
      const controller = new AbortController();
      const waiting = two.store.locks.with('store', 'exclusive', async () => 'never', { signal: controller.signal });
      controller.abort(new Error('enough'));
      await expect(waiting).rejects.toThrow('enough');
      leave.open();
      await holder;
      expect(await two.store.locks.with('store', 'shared', async () => 'free')).toBe('free');
    });

    test('run an act only if nobody has them', async () => {
      const [inside, leave] = [gate(), gate()];
      const holder = one.store.locks.with('store', 'shared', async () => {
        inside.open();
        await leave.opened;
      });
      await inside.opened;
      expect(await two.store.locks.ifFree('store', async () => 'never')).toBeUndefined();
      expect(await one.store.locks.ifFree('store', async () => 'never')).toBeUndefined();
      leave.open();
      await holder;
      expect(await two.store.locks.ifFree('store', async () => 'free')).toBe('free');
      expect(await one.store.locks.ifFree('store', async () => 'free again')).toBe('free again');
    });

    test('are given back with the engine', async () => {
      const [inside, never] = [gate(), gate()];
      void one.store.locks.with('store', 'exclusive', async () => {
        inside.open();
        await never.opened;
      });
      await inside.opened;
      await one.store.close();
      expect(await two.store.locks.with('store', 'exclusive', async () => 'free')).toBe('free');
      never.open();
    });
  },
  describe,
);

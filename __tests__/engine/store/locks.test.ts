import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createLauncher, createSeriesHelper, createUserHelper } from '../../../engine/native/index.ts';
import { openLayout, openStore, type Store } from '../../../engine/store/index.ts';
import { HELPER } from '../../helpers/berth.ts';
import { openTestStore, withHelper } from '../../helpers/store.ts';

/** A store, and another engine's view of it. */
interface Views {
  readonly views: readonly [Store, Store];
  readonly close: () => Promise<void>;
}

async function openAlone(): Promise<Views> {
  const one = await openTestStore();
  const two = await one.again();
  const close = async (): Promise<void> => {
    await two.store.close();
    await one.remove();
  };
  return { views: [one.store, two.store], close };
}

/** The same, where a series comes when locks are asked for. */
async function openBesideSeries(): Promise<Views> {
  const { root, remove } = await openTestStore();
  const place = await openLayout(root);
  const closing: (() => Promise<void>)[] = [];
  const view = (): Store => {
    const launcher = createLauncher({ path: HELPER });
    const lockHelper = createUserHelper(launcher, place);
    const series = new Promise((resolve) => setImmediate(resolve)).then(() =>
      createSeriesHelper(launcher, { store: place, idMap: { kind: 'root' }, elevation: 'direct' }, lockHelper.isAsked),
    );
    lockHelper.expect(series.then(async ({ locks }) => await locks));
    const store = openStore(place, { lockHelper, host: { os: 'linux', architecture: 'amd64' } });
    closing.push(
      async () => await (await series).close(),
      async () => await store.close(),
    );
    return store;
  };
  const close = async (): Promise<void> => {
    await Promise.all(closing.map(async (end) => await end()));
    await remove();
  };
  return { views: [view(), view()], close };
}

/** A promise and what settles it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

function promisesOfLocks(open: () => Promise<Views>): () => void {
  return () => {
    let one: { readonly store: Store };
    let two: { readonly store: Store };
    let close: () => Promise<void>;
    beforeEach(async () => {
      const opened = await open();
      [one, two] = [{ store: opened.views[0] }, { store: opened.views[1] }];
      close = opened.close;
    });
    afterEach(async () => await close());

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
  };
}

withHelper('locks', promisesOfLocks(openAlone), describe);
withHelper('locks that are kept beside a series', promisesOfLocks(openBesideSeries), describe);

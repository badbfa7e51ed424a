import { EngineError } from '../base/errors.ts';
import type { Helper, Session } from '../native/types.ts';
import type { Locks } from './types.ts';

type Mode = 'shared' | 'exclusive';

/** A lock as this process sees it: who holds it here, and who waits. */
interface Local {
  readers: number;
  writer: boolean;
  readonly queue: { readonly mode: Mode; readonly enter: () => void }[];
}

/**
 * Locks of the store, held by one `lock` process of the helper that dies with this one (where a series is started: forked by that). It starts with
 * the first lock and is freed with `close`. Within the process holders of the same lock share one flock, counted here. Order: store, image, snapshot.
 */
export function createLocks(helper: Pick<Helper, 'open'>): Locks {
  const local = new Map<string, Local>();
  let holder: Holder | undefined;
  const connect = (): Holder => {
    if (!holder || holder.ended) holder = createHolder(helper);
    return holder;
  };
  /** The holder that has the flock now; the first holder here takes it for all. */
  const hold = async (lock: Local, name: string, mode: Mode): Promise<Holder> => {
    await enter(lock, mode);
    const via = connect();
    try {
      await via.hold(name, mode === 'exclusive');
      return via;
    } catch (error) {
      leave(lock, mode);
      throw error;
    }
  };
  const localOf = (name: string): Local => {
    const lock = local.get(name) ?? { readers: 0, writer: false, queue: [] };
    local.set(name, lock);
    return lock;
  };
  return {
    with: async (name, mode, act, { signal } = {}) => {
      signal?.throwIfAborted();
      const lock = localOf(name);
      const held = hold(lock, name, mode);
      const giveBack = async (): Promise<void> => {
        const via = await held.catch(() => undefined);
        await via?.drop(name).catch(() => undefined);
        if (via) leave(lock, mode);
      };
      try {
        await abortable(held, signal);
        return await act();
      } finally {
        // A wait that was given up is let go of once it is over; nobody waits for that.
        const back = giveBack();
        if (!signal?.aborted) await back;
      }
    },
    ifFree: async (name, act) => {
      const lock = localOf(name);
      if (!isFree(lock, 'exclusive')) return undefined;
      take(lock, 'exclusive');
      try {
        const via = connect();
        if (!(await via.tryHold(name))) return undefined;
        try {
          return await act();
        } finally {
          await via.drop(name);
        }
      } finally {
        leave(lock, 'exclusive');
      }
    },
    close: async () => {
      await holder?.close();
      holder = undefined;
    },
  };
}

async function enter(lock: Local, mode: Mode): Promise<void> {
  if (isFree(lock, mode)) take(lock, mode);
  else await new Promise<void>((resolve) => lock.queue.push({ mode, enter: resolve }));
}

/** Readers join readers even past a waiting writer: an act that holds the lock may take it again. */
function isFree(lock: Local, mode: Mode): boolean {
  return !lock.writer && (mode === 'shared' || lock.readers === 0);
}

function take(lock: Local, mode: Mode): void {
  if (mode === 'exclusive') lock.writer = true;
  else lock.readers += 1;
}

function leave(lock: Local, mode: Mode): void {
  if (mode === 'exclusive') lock.writer = false;
  else lock.readers -= 1;
  for (let next = lock.queue[0]; next && isFree(lock, next.mode); next = lock.queue[0]) {
    lock.queue.shift();
    take(lock, next.mode);
    next.enter();
  }
}

/** The helper's `lock` session: one flock a name, counted. */
interface Holder {
  readonly ended: boolean;
  hold(name: string, exclusive: boolean): Promise<void>;
  /** Takes it exclusively when nobody else has it. */
  tryHold(name: string): Promise<boolean>;
  /** Gives it back; resolves when others can have it. */
  drop(name: string): Promise<void>;
  close(): Promise<void>;
}

interface Held {
  count: number;
  readonly granted: Promise<boolean>;
}

function createHolder(helper: Pick<Helper, 'open'>): Holder {
  const waiting = new Map<string, (got: boolean) => void>();
  /** Who waits until a lock is given back, by name, in the order of the requests. */
  const leaving = new Map<string, (() => void)[]>();
  const held = new Map<string, Held>();
  let ended = false;
  const session: Session<'lock'> = helper.open(
    'lock',
    {},
    {
      onEvent: (event) => {
        if (event.type === 'locked' || event.type === 'busy') waiting.get(event.name)?.(event.type === 'locked');
        if (event.type === 'released') leaving.get(event.name)?.shift()?.();
      },
    },
  );
  const gone = session.result.then(
    () => new EngineError('STORE_LOCK_LOST', 'Cannot lock the store: the helper that holds the locks has ended'),
    (error: unknown) =>
      new EngineError('STORE_LOCK_LOST', 'Cannot lock the store: its helper failed', { cause: error }),
  );
  void gone.then(() => (ended = true));
  const acquire = async (name: string, exclusive: boolean, wait: boolean): Promise<boolean> => {
    const answered = new Promise<boolean>((resolve) => waiting.set(name, resolve));
    await session.control({ control: 'acquire', name, exclusive, wait });
    const answer = await Promise.race([answered, gone]);
    if (typeof answer === 'boolean') return answer;
    throw answer.cause instanceof EngineError ? answer.cause : answer;
  };
  return {
    get ended() {
      return ended;
    },
    hold: async (name, exclusive) => {
      const entry = held.get(name) ?? { count: 0, granted: acquire(name, exclusive, true) };
      held.set(name, entry);
      entry.count += 1;
      try {
        await entry.granted;
      } catch (error) {
        await release(entry, name);
        throw error;
      }
    },
    tryHold: async (name) => {
      const granted = acquire(name, true, false);
      if (!(await granted)) return false;
      held.set(name, { count: 1, granted });
      return true;
    },
    drop: async (name) => {
      const entry = held.get(name);
      if (entry) await release(entry, name);
    },
    close: async () => {
      session.close();
      await session.result.catch(() => undefined);
    },
  };

  async function release(entry: Held, name: string): Promise<void> {
    entry.count -= 1;
    if (entry.count > 0) return;
    held.delete(name);
    if (ended) return;
    // Only the answer says that the kernel has the lock back: without it, the next to try could still find it taken.
    const released = new Promise<void>((resolve) => leaving.set(name, [...(leaving.get(name) ?? []), resolve]));
    await session.control({ control: 'release', name });
    await Promise.race([released, gone]);
  }
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise;
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

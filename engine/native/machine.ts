import { isEngineError } from '../base/errors.ts';
import type { ActOptions } from '../base/progress.ts';
import { readFacts } from './facts.ts';
import type { Launcher } from './helper.ts';
import { chooseIsolation, type Isolation } from './isolation.ts';
import { createMemory } from './memory.ts';
import type { RungName, StoreLocation } from './protocol.ts';
import type { Helper } from './types.ts';

/** Finds out what is possible on this machine. */
export interface MachineProbe {
  /** By what an earlier command found, else by a probe. @throws `ISOLATION_IMPOSSIBLE` */
  readonly find: (options?: ActOptions) => Promise<Isolation>;
  /** By a probe. @throws `ISOLATION_IMPOSSIBLE` */
  readonly probe: (options?: ActOptions) => Promise<Isolation>;
  /**
   * A helper whose failures are doubted when it was chosen by what an earlier command found: where one could come from the machine, that is
   * forgotten, and a probe that finds no rung any more is what is thrown.
   */
  readonly watch: (helper: Helper) => Helper;
}

/** A {@link MachineProbe} that keeps what it finds in the store. */
export function createMachineProbe(
  {
    isolation,
    helper,
    sudo,
  }: {
    readonly isolation: RungName | 'auto';
    readonly helper: string;
    readonly sudo?: string | undefined;
  },
  { launcher, store }: { readonly launcher: Launcher; readonly store: StoreLocation },
): MachineProbe {
  const memory = createMemory(store.root, () => readFacts({ root: store.root, helper, sudo, wanted: isolation }));
  let recalled = false;
  const probe: MachineProbe['probe'] = async ({ signal } = {}) => {
    memory.forget();
    const found = await chooseIsolation(isolation, { launcher, store, ...(signal ? { signal } : {}) });
    memory.keep(found, isLacking(found, isolation, sudo));
    return found;
  };
  const doubt = async (error: unknown): Promise<void> => {
    if (!recalled || !isDoubtful(error)) return;
    recalled = false;
    await probe();
  };
  return {
    find: async (options) => {
      const known = memory.recall();
      recalled = known !== undefined;
      return known ?? (await probe(options));
    },
    probe,
    watch: (watched) => ({
      ...watched,
      call: async (op, args, options) => {
        try {
          return await watched.call(op, args, options);
        } catch (error) {
          await doubt(error);
          throw error;
        }
      },
      open: (op, args, options) => {
        const session = watched.open(op, args, options);
        const result = session.result.catch(async (error: unknown) => {
          await doubt(error);
          throw error;
        });
        result.catch(() => undefined);
        return { ...session, result };
      },
    }),
  };
}

/** Something is not possible that the next probe may find possible: a module of the kernel comes, sudo is allowed. */
function isLacking({ rung, probe }: Isolation, wanted: RungName | 'auto', sudo: string | undefined): boolean {
  if (!probe.seccomp) return true;
  if (rung === 'root') return !probe.network.bridge;
  return wanted === 'auto' && sudo !== undefined;
}

/** What a machine that has changed since the probe would end with; a missing file or a wrong request is none of it. */
function isDoubtful(error: unknown): boolean {
  return isEngineError(error) && DOUBTFUL.has(error.code);
}

const DOUBTFUL = new Set([
  'NATIVE_NOT_PERMITTED',
  'NATIVE_UNSUPPORTED',
  'NATIVE_SYSTEM',
  'NATIVE_DIED',
  'HELPER_NOT_STARTED',
]);

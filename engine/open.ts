import type { Engine, EngineOptions } from './engine.ts';

/**
 * An engine over a store. Opens the store, and nothing else: the machine is probed when the first act needs it.
 *
 * @throws `STORE_VERSION`, `STORE_OWNER`, `STORE_IO`
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { assembleEngine } = await import('./create.ts');
  return await assembleEngine(options);
}

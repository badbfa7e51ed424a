import type { Act, Engine } from '../../engine/index.ts';

/** Tells in the journal that what nobody uses of a kind was removed, and how many bytes that gave back, as Docker does. */
export async function tellPrune({ events }: Pick<Engine, 'events'>, kind: Act['kind'], bytes: number): Promise<void> {
  await events.announce({ kind, action: 'prune', id: '', attributes: { reclaimed: String(Math.max(0, bytes)) } });
}

import type { Connection } from './dependencies.ts';
import { attributesOf } from './life.ts';
import type { Found } from './list.ts';

/** Writes an act of the engine on a container into the journal, in Docker's words. A journal that cannot be written is no fault of the act. */
export async function tellOf(
  { helper }: Pick<Connection, 'helper'>,
  { state, record }: Found,
  action: string,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { name, image, config } = record;
  const attributes = { ...attributesOf({ name, image, labels: config.Labels }), ...more };
  await helper.call('announce', { kind: 'container', action, id: state.id, attributes }).catch(() => undefined);
}

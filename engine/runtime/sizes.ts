import type { Connection } from './dependencies.ts';
import { listContainers } from './list.ts';

/** Bytes that each container has written into its own layer, by id; lengths of files, as Docker counts them. */
export async function readSizes(connection: Connection): Promise<ReadonlyMap<string, number>> {
  const found = await listContainers(connection);
  if (found.length === 0) return new Map();
  const names = found.map(({ record }) => record.rootfs.upper);
  const { snapshots } = await connection.helper.call('usage', { names, measure: true });
  const bytes = new Map(snapshots.map((one) => [one.name, one.content]));
  return new Map(found.map(({ state, record }) => [state.id, bytes.get(record.rootfs.upper) ?? 0]));
}

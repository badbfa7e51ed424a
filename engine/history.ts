import type { Parts } from './connect.ts';
import type { HistoryLine } from './engine.ts';

/** A `docker history`: the steps of an image, newest first. Sizes are those of the plain layers, or of their blobs where only these are known. */
export async function historyOf({ store }: Parts, nameOrId: string): Promise<readonly HistoryLine[]> {
  const { id, config } = await store.images.resolve(nameOrId);
  const { diff_ids } = config.rootfs;
  const records = await Promise.all(diff_ids.map((diffId) => store.layers.get(diffId)));
  const sizes = records.map((record) => record?.size ?? record?.blobs[0]?.size ?? 0);
  const history = config.history ?? diff_ids.map(() => ({ created: config.created }));
  let next = 0;
  const lines = history.map((entry): HistoryLine => {
    const size = 'empty_layer' in entry && entry.empty_layer ? 0 : (sizes[next++] ?? 0);
    return {
      created: entry.created,
      createdBy: 'created_by' in entry ? (entry.created_by ?? '') : '',
      comment: 'comment' in entry ? (entry.comment ?? '') : '',
      size,
    };
  });
  const [newest, ...older] = lines.reverse();
  return newest === undefined ? [] : [{ ...newest, id }, ...older];
}

import type { Act, Engine } from './engine.ts';
import { familiarName, familiarString, parseReference } from './image/reference.ts';
import type { Helper } from './native/types.ts';

/** Writes an act on something that is no container into the journal. A journal that cannot be written is no fault of the act. */
export type Announce = (act: Omit<Act, 'time'>) => Promise<void>;

/** {@link Announce} by a helper that runs as the store's owner: no rung is needed for it. */
export function createAnnounce(helper: Helper): Announce {
  return async ({ kind, action, id, attributes }) => {
    await helper.call('announce', { kind, action, id, attributes: { ...attributes } }).catch(() => undefined);
  };
}

/** Tells of an image that came or went by a name, as Docker does: `pull`, `push`. */
export async function announceByName(announce: Announce, action: 'pull' | 'push', name: string): Promise<void> {
  const reference = parseReference(name);
  await announce({
    kind: 'image',
    action,
    id: familiarString(reference),
    attributes: { name: familiarName(reference) },
  });
}

type Images = Engine['images'];
/** An image by what its events say of it. */
type Told = Pick<Awaited<ReturnType<Images['resolve']>>, 'id' | 'config'>;

/** {@link Images} whose acts are in the journal. */
export function announced(images: Images, announce: Announce): Images {
  const tell = async (action: string, { id, config }: Told, name: string): Promise<void> => {
    await announce({ kind: 'image', action, id, attributes: { ...config.config?.Labels, name } });
  };
  return {
    ...images,
    tag: async (source, target) => {
      await images.tag(source, target);
      await tell('tag', await images.resolve(target), familiarString(parseReference(target)));
    },
    remove: async (nameOrId, how) => {
      const image = await images.resolve(nameOrId);
      const lines = await images.remove(nameOrId, how);
      for (const line of lines) {
        const [, word, name = ''] = /^(Untagged|Deleted): (.*)$/.exec(line) ?? [];
        if (word !== undefined) await tell(word === 'Untagged' ? 'untag' : 'delete', image, name);
      }
      return lines;
    },
    save: async (names, how) => {
      await images.save(names, how);
      for (const name of names) await tell('save', await images.resolve(name), name);
    },
    load: async (source, act) => {
      const loaded = await images.load(source, act);
      for (const { id, names } of loaded) {
        const [name] = names;
        const image = await images.resolve(id);
        await tell('load', image, name === undefined ? id : familiarString(parseReference(name)));
      }
      return loaded;
    },
    import: async (source, how) => {
      const id = await images.import(source, how);
      await tell('import', await images.resolve(id), how?.name ?? id);
      return id;
    },
  };
}

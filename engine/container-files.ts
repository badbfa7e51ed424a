import { createAnnounce } from './announce.ts';
import { collect } from './base/collect.ts';
import { EngineError, messageOf } from './base/errors.ts';
import type { ActOptions } from './base/progress.ts';
import { DEFAULT_PACKING } from './packing.ts';
import type { Parts } from './connect.ts';
import type { CommitOptions, ContainerFiles, FileChange, SaveOptions } from './engine.ts';
import { assembleConfig } from './image/assemble.ts';
import { MAX_CONFIG_SIZE, parseConfig } from './image/config.ts';
import { layerType } from './image/media-type.ts';
import { familiarString, parseReference } from './image/reference.ts';
import type { ContainerConfig, Digest, History, ImageConfig } from './image/types.ts';
import { withStore } from './leftovers.ts';
import { requireTag } from './names.ts';
import { NativeError } from './native/index.ts';
import { findContainer, type Found, tellOf } from './runtime/index.ts';

/** A container's file system as tar, list of changes and new image. All of its files are read by the helper alone. */
export function createContainerFiles(parts: Parts): ContainerFiles {
  return {
    export: (nameOrId, options) => exportContainer(parts, nameOrId, options),
    changes: (nameOrId, options) => changesOf(parts, nameOrId, options),
    commit: (nameOrId, options) => commitContainer(parts, nameOrId, options),
  };
}

async function find(parts: Parts, nameOrId: string, options: ActOptions): Promise<Found> {
  const { helper, isolation } = await parts.machine(options);
  return await findContainer({ helper, probe: isolation.probe, root: parts.options.root }, nameOrId);
}

async function exportContainer(
  parts: Parts,
  nameOrId: string,
  { write, signal, onEvent }: Pick<SaveOptions, 'write'> & ActOptions,
): Promise<void> {
  await withStore(parts, { signal, onEvent }, async () => {
    const found = await find(parts, nameOrId, { signal });
    const { helper } = await parts.machine();
    const { upper, lowers } = found.record.rootfs;
    await helper.call(
      'export',
      { snapshots: [upper, ...lowers], clamp: null },
      {
        signal,
        onData: write,
        onEvent: (event) => {
          if (event.type === 'warning') onEvent?.({ type: 'warning', message: event.message });
        },
      },
    );
    await tellOf({ helper }, found, 'export');
  });
}

const KINDS = { A: 'added', C: 'changed', D: 'deleted' } as const;

async function changesOf(parts: Parts, nameOrId: string, options: ActOptions = {}): Promise<readonly FileChange[]> {
  return await withStore(parts, options, async () => {
    const { record, state } = await find(parts, nameOrId, options);
    const { helper } = await parts.machine();
    const { upper, lowers } = record.rootfs;
    const chunks: Uint8Array[] = [];
    await helper.call(
      'changes',
      { snapshot: upper, lowers: [...lowers], container: state.id },
      { signal: options.signal, onData: (chunk) => void chunks.push(chunk) },
    );
    const records = Buffer.concat(chunks).toString('utf8').split('\0').slice(0, -1);
    return records.map((text) => ({ kind: KINDS[text[0] as keyof typeof KINDS], path: text.slice(1) }));
  });
}

/** A `docker commit`: the container's own layer on top of its image's, with the configuration that it ran with. */
async function commitContainer(
  parts: Parts,
  nameOrId: string,
  { name, author, message, changes = [], pause = true, ...options }: CommitOptions & ActOptions = {},
): Promise<Digest> {
  const names = name === undefined ? [] : [requireTag(name)];
  return await withStore(parts, options, async () => {
    const found = await find(parts, nameOrId, options);
    const base = await baseOf(parts, found.record.imageId);
    // Loaded here: it brings the reader of Dockerfiles along.
    const { applyChanges } = await import('./acts.ts');
    const config = await applyChanges(configOf(found), changes);
    const layer = await whilePaused(parts, found, { ...options, pause }, () => packUpper(parts, found, options));
    const created = new Date().toISOString();
    const step: History = {
      created,
      created_by: found.record.args.join(' '),
      ...(author === undefined ? {} : { author }),
      ...(message === undefined ? {} : { comment: message }),
      ...(layer === null ? { empty_layer: true } : {}),
    };
    const image: ImageConfig = {
      ...base,
      created,
      ...(author === undefined ? {} : { author }),
      config,
      rootfs: { type: 'layers', diff_ids: [...base.rootfs.diff_ids, ...(layer === null ? [] : [layer])] },
      history: [...(base.history ?? []), step],
    };
    const { content, descriptor } = assembleConfig(image);
    await parts.store.content.write(descriptor.mediaType, content);
    await parts.store.images.put({ id: descriptor.digest, names });
    await tellOfCommit(parts, found, {
      id: descriptor.digest,
      labels: config.Labels ?? {},
      name,
      comment: message ?? '',
    });
    return descriptor.digest;
  });
}

/** The new image, its name, and what it was made of, as Docker tells of them. */
async function tellOfCommit(
  parts: Parts,
  found: Found,
  made: {
    readonly id: Digest;
    readonly labels: Readonly<Record<string, string>>;
    readonly name: string | undefined;
    readonly comment: string;
  },
): Promise<void> {
  const { helper } = await parts.machine();
  const announce = createAnnounce(helper);
  const { id, labels, comment } = made;
  const name = made.name === undefined ? undefined : familiarString(parseReference(made.name));
  await announce({ kind: 'image', action: 'create', id, attributes: { ...labels, name: id } });
  if (name !== undefined) await announce({ kind: 'image', action: 'tag', id, attributes: { ...labels, name } });
  await tellOf({ helper }, found, 'commit', { comment, imageID: id, imageRef: name ?? '' });
}

/** Runs `act` while the processes of a running container stand still; one that was paused before stays so. */
async function whilePaused<T>(
  parts: Parts,
  { state, record }: Found,
  { pause, onEvent }: Pick<ActOptions, 'onEvent'> & { readonly pause: boolean },
  act: () => Promise<T>,
): Promise<T> {
  if (!pause || state.status !== 'running') return await act();
  const { helper } = await parts.machine();
  const freeze = async (frozen: boolean): Promise<void> => {
    await helper.call('pause', { container: state.id, frozen });
  };
  try {
    await freeze(true);
  } catch (error) {
    // Its end has come meanwhile: nothing of it moves any more.
    if (error instanceof NativeError && error.failure.code === 'conflict') return await act();
    throw new EngineError('COMMIT_UNPAUSED', `Cannot pause ${record.name} to commit it: ${messageOf(error)}`, {
      cause: error,
      hint: `berth commit --pause=false ${record.name}, or stop it before`,
    });
  }
  try {
    return await act();
  } finally {
    await freeze(false).catch((error: unknown) =>
      onEvent?.({
        type: 'warning',
        message: `${record.name} may stand still: ${messageOf(error)}. Type: berth unpause ${record.name}`,
      }),
    );
  }
}

/** The configuration of the image that the container was made from; its blob outlives the image's name. */
async function baseOf({ store }: Parts, id: Digest): Promise<ImageConfig> {
  const size = await store.content.size(id);
  if (size === undefined) {
    throw new EngineError(
      'IMAGE_NOT_FOUND',
      `Cannot commit the container: the configuration of its image ${id} is gone`,
      {
        hint: 'berth export gives its files; berth import makes an image of them',
      },
    );
  }
  const bytes = await collect(
    store.content.fetch({ mediaType: '', digest: id, size }),
    `the config ${id}`,
    MAX_CONFIG_SIZE,
  );
  return parseConfig(bytes, { what: `the config ${id}` });
}

/** What it ran with: the image's configuration, and what the command line said instead. */
function configOf({ record: { config, spec } }: Found): ContainerConfig {
  return {
    ...config,
    ...(spec.entrypoint === undefined ? {} : { Entrypoint: spec.entrypoint }),
    ...(spec.command === undefined || spec.command.length === 0 ? {} : { Cmd: spec.command }),
  };
}

/** The container's upper as a layer with a blob; null when it changed nothing. The upper itself stays as it is. */
async function packUpper(parts: Parts, { state, record }: Found, options: ActOptions): Promise<Digest | null> {
  const { store } = parts;
  const { helper } = await parts.machine();
  const ingest = store.content.newIngest();
  const { codec, level } = DEFAULT_PACKING;
  const { upper, lowers } = record.rootfs;
  const reply = await helper.call(
    'diff',
    {
      snapshot: upper,
      lowers: [...lowers],
      output: ingest,
      codec,
      level,
      clamp: null,
      finish: false,
      container: state.id,
    },
    { signal: options.signal },
  );
  if (!reply.blob) throw new Error('The helper gave no blob');
  const { digest, size } = reply.blob as { readonly digest: Digest; readonly size: number };
  await store.content.commit(ingest, { digest, size });
  if (reply.entries === 0) return null;
  const diffId = reply.diffId as Digest;
  await store.layers.add(diffId, {
    size: reply.plainSize,
    blobs: [{ mediaType: layerType(codec), digest, size }],
    verified: [digest],
  });
  return diffId;
}

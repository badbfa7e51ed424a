import { PassThrough } from 'node:stream';
import type { ActOptions } from '../base/progress.ts';
import { EngineError } from '../base/errors.ts';
import type { CopyOptions, CopyReport, CopySource, CopyTarget } from '../engine.ts';
import type { Tree } from '../native/protocol.ts';
import type { Helper } from '../native/types.ts';
import type { ContainersDependencies } from './dependencies.ts';
import { findContainer } from './list.ts';
import { unlessGone } from './meanwhile.ts';

/**
 * A `docker cp`: one helper packs, another one unpacks, and the tar between them passes through here. What is on this machine is read and written
 * by a helper with the caller's own rights; what is in a container, by one with the container's.
 *
 * @throws `CONTAINER_NOT_FOUND`, `COPY_REFUSED`, and the helper's failures naming the path
 */
export async function copyFiles(
  dependencies: ContainersDependencies,
  source: CopySource,
  target: CopyTarget,
  options: CopyOptions,
): Promise<CopyReport> {
  if (source.kind === 'container' && target.kind === 'container') {
    throw new EngineError(
      'COPY_REFUSED',
      'Cannot copy between containers: copying between containers is not supported',
      {
        hint: 'copy to this machine first, or through a tar: berth cp A:PATH - | berth cp - B:PATH',
      },
    );
  }
  const end = [source, target].find((one) => one.kind === 'container');
  if (end?.kind !== 'container')
    throw new EngineError('COPY_REFUSED', 'Cannot copy: must specify at least one container source');
  const { container } = end;
  const act = async (id: string): Promise<CopyReport> => {
    const from = await packer(dependencies, source, id);
    const to = await unpacker(dependencies, target, id);
    return await transfer(from, to, options);
  };
  return await unlessGone(dependencies.connect, container, () => withContainer(dependencies, container, options, act));
}

/** A container that does not run is kept from starting meanwhile: its root must not be mounted twice. */
async function withContainer<T>(
  { store, connect }: ContainersDependencies,
  nameOrId: string,
  options: ActOptions,
  act: (id: string) => Promise<T>,
): Promise<T> {
  const connection = await connect();
  const { state } = await findContainer(connection, nameOrId);
  if (state.status === 'running') return await unlessGone(connect, nameOrId, () => act(state.id), { running: true });
  return await store.locks.with('containers', 'exclusive', async () => await act(state.id), options);
}

/** A side that is done by a helper. */
interface Side {
  readonly helper: Helper;
  readonly tree: Tree;
  readonly path: string;
}
type From = Side | { readonly data: AsyncIterable<Uint8Array> };
type To = Side | { readonly onData: (chunk: Uint8Array) => void | Promise<void> };

async function packer(dependencies: ContainersDependencies, source: CopySource, id: string): Promise<From> {
  return source.kind === 'tar' ? { data: source.data } : await sideOf(dependencies, source, id);
}

async function unpacker(dependencies: ContainersDependencies, target: CopyTarget, id: string): Promise<To> {
  return target.kind === 'tar' ? { onData: target.onData } : await sideOf(dependencies, target, id);
}

async function sideOf(
  { connect, hostHelper }: ContainersDependencies,
  end: { readonly kind: 'host' | 'container'; readonly path: string },
  id: string,
): Promise<Side> {
  if (end.kind === 'host') return { helper: hostHelper, tree: { on: 'host' }, path: end.path };
  const { helper } = await connect();
  return { helper, tree: { on: 'container', container: id }, path: end.path };
}

async function transfer(from: From, to: To, options: CopyOptions): Promise<CopyReport> {
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  if ('data' in from) {
    if ('onData' in to) throw new EngineError('COPY_REFUSED', 'Cannot copy from a stream to a stream');
    return await unpack(to, from.data, { ...options, signal }, true);
  }
  if ('onData' in to) return await pack(from, to.onData, { ...options, signal });
  const pipe = new PassThrough();
  const packed = pack(from, (chunk) => offer(pipe, chunk), { ...options, signal }).then(
    (report) => {
      pipe.end();
      return report;
    },
    (error: unknown) => {
      // The other side must not take the part that came for the whole.
      stop.abort(error);
      throw error;
    },
  );
  const unpacked = unpack(to, pipe, { ...options, signal }, false).catch((error: unknown) => {
    stop.abort(error);
    pipe.destroy();
    throw error;
  });
  const [report, other] = await Promise.allSettled([unpacked, packed]);
  // The side that failed first said so to the other one by the signal, which throws it again.
  options.signal?.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  if (report.status === 'rejected') throw report.reason;
  if (other.status === 'rejected') throw other.reason;
  return report.value;
}

/** Resolves when there is room for more, or nobody reads any more. */
async function offer(pipe: PassThrough, chunk: Uint8Array): Promise<void> {
  if (pipe.destroyed) return;
  if (pipe.write(chunk)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      pipe.off('drain', done).off('close', done);
      resolve();
    };
    pipe.on('drain', done).on('close', done);
  });
}

async function pack(
  { helper, tree, path }: Side,
  onData: (chunk: Uint8Array) => void | Promise<void>,
  { signal, onEvent, follow = false }: CopyOptions,
): Promise<CopyReport> {
  return await helper.call('copy-out', { tree, path, follow }, { signal, onData, onEvent: warnings(onEvent) });
}

async function unpack(
  { helper, tree, path }: Side,
  data: AsyncIterable<Uint8Array>,
  { signal, onEvent, archive = false }: CopyOptions,
  into: boolean,
): Promise<CopyReport> {
  const args = { tree, path, into, keepOwner: archive || into };
  return await helper.call('copy-in', args, { signal, data, onEvent: warnings(onEvent) });
}

function warnings(
  onEvent: ActOptions['onEvent'],
): (event: { readonly type: string; readonly message?: string }) => void {
  return (event) => {
    if (event.type === 'warning' && event.message !== undefined) onEvent?.({ type: 'warning', message: event.message });
  };
}

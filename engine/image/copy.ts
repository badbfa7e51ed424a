import { collect } from '../base/collect.ts';
import { EngineError } from '../base/errors.ts';
import { createLimit, type Limit } from '../base/limit.ts';
import type { OnEvent } from '../base/progress.ts';
import { shortDigest } from './digest.ts';
import { childrenOf, MAX_MANIFEST_SIZE, parseGraphNode } from './manifest.ts';
import { isGraphType } from './media-type.ts';
import type { Descriptor, Digest, Fetcher, Storage } from './types.ts';

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Receives a status for each blob. */
  readonly onEvent?: OnEvent | undefined;
  /** The vertex that the statuses belong to. Default: the root's digest. */
  readonly vertex?: string | undefined;
  /** Blobs in flight. Default 5, as Docker. */
  readonly concurrency?: number | undefined;
  /** Where else a blob may lie, as `registry/repository`, for a cross-repository mount. */
  readonly mountFrom?: ((descriptor: Descriptor) => readonly string[]) | undefined;
}

/** What had to be done. Manifests aren't counted. */
export interface CopyResult {
  readonly uploaded: { readonly blobs: number; readonly bytes: number };
  readonly existed: number;
  readonly mounted: number;
}

/** Bytes between two statuses of a blob; its end is always told. */
const STATUS_EVERY = 256 * 1024;
/** No index of indexes is deeper. */
const MAX_DEPTH = 4;

/**
 * Copies `root` and all it names: blobs first, then the manifests over them, `root` last, so that nothing in the target ever names what isn't
 * there. What the target has is not read. Pull and push are this, with the ends swapped.
 *
 * @throws what the ends throw; the first failure ends the other transfers
 */
export async function copyGraph(
  source: Fetcher,
  target: Storage,
  root: Descriptor,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const copy = new Copy(source, target, { ...options, vertex: options.vertex ?? root.digest }, signal, (reason) =>
    stop.abort(reason),
  );
  await copy.node(root, 0);
  return copy.result();
}

/** One run of {@link copyGraph}: what is on its way and what has been counted. */
class Copy {
  readonly #source: Fetcher;
  readonly #target: Storage;
  readonly #options: CopyOptions & { readonly vertex: string };
  readonly #signal: AbortSignal;
  readonly #stop: (reason: unknown) => void;
  readonly #limit: Limit;
  readonly #started = new Map<Digest, Promise<void>>();
  readonly #counts = { blobs: 0, bytes: 0, existed: 0, mounted: 0 };

  constructor(
    source: Fetcher,
    target: Storage,
    options: CopyOptions & { readonly vertex: string },
    signal: AbortSignal,
    stop: (reason: unknown) => void,
  ) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#signal = signal;
    this.#stop = stop;
    this.#limit = createLimit(options.concurrency ?? 5);
  }

  /** A blob, or a manifest after its children. The same content is copied once. */
  node(descriptor: Descriptor, depth: number): Promise<void> {
    const running = this.#started.get(descriptor.digest);
    if (running) return running;
    const started = isGraphType(descriptor.mediaType)
      ? this.#manifest(descriptor, depth)
      : this.#limit(() => this.#blob(descriptor));
    this.#started.set(descriptor.digest, started);
    return started;
  }

  result(): CopyResult {
    const { blobs, bytes, existed, mounted } = this.#counts;
    return { uploaded: { blobs, bytes }, existed, mounted };
  }

  async #manifest(descriptor: Descriptor, depth: number): Promise<void> {
    if (depth > MAX_DEPTH)
      throw new EngineError(
        'DOCUMENT_INVALID',
        `Cannot copy ${descriptor.digest}: indexes are nested more than ${MAX_DEPTH} deep`,
      );
    const what = `manifest ${descriptor.digest}`;
    const content = await collect(this.#source.fetch(descriptor, { signal: this.#signal }), what, MAX_MANIFEST_SIZE);
    const children = childrenOf(parseGraphNode(content, { what, mediaType: descriptor.mediaType }));
    await this.#all(children.map((child) => this.node(child, depth + 1)));
    await this.#target.push(descriptor, () => once(content), { signal: this.#signal });
  }

  async #blob(descriptor: Descriptor): Promise<void> {
    this.#signal.throwIfAborted();
    const mountFrom = this.#options.mountFrom?.(descriptor);
    const outcome = await this.#target.push(descriptor, () => this.#counted(descriptor), {
      signal: this.#signal,
      ...(mountFrom === undefined ? {} : { mountFrom }),
    });
    this.#count(outcome, descriptor);
    this.#status(descriptor, descriptor.size, { ended: outcome });
  }

  /** Waits for all, also after a failure, so that nothing runs on when the caller has its error. */
  async #all(tasks: readonly Promise<void>[]): Promise<void> {
    const failures: unknown[] = [];
    const watch = (error: unknown): void => {
      failures.push(error);
      this.#stop(error);
    };
    await Promise.all(tasks.map((task) => task.catch(watch)));
    if (failures.length > 0) throw failures[0];
  }

  #count(outcome: 'pushed' | 'exists' | 'mounted', { size }: Descriptor): void {
    if (outcome === 'exists') this.#counts.existed += 1;
    else if (outcome === 'mounted') this.#counts.mounted += 1;
    else {
      this.#counts.blobs += 1;
      this.#counts.bytes += size;
    }
  }

  async *#counted(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    let [current, said] = [0, 0];
    this.#status(descriptor, 0);
    for await (const chunk of this.#source.fetch(descriptor, { signal: this.#signal })) {
      yield chunk;
      current += chunk.length;
      if (current - said < STATUS_EVERY) continue;
      said = current;
      this.#status(descriptor, current);
    }
  }

  #status(
    { digest, size }: Descriptor,
    current: number,
    { ended }: { readonly ended?: 'pushed' | 'exists' | 'mounted' } = {},
  ): void {
    this.#options.onEvent?.({
      type: 'status',
      vertex: this.#options.vertex,
      name: shortDigest(digest),
      current,
      total: size,
      ...(ended === undefined ? {} : { completed: Date.now() }),
      ...(ended === undefined || ended === 'pushed' ? {} : { spared: ended }),
    });
  }
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}

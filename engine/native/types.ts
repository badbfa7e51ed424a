import type { Control, Event, IdMap, Operation, Reply } from './protocol.ts';

/** Names of the helper's operations. */
export type OperationName = Operation['op'];
/** Arguments of one operation. */
export type ArgumentsOf<O extends OperationName> = Extract<Operation, { op: O }> extends { args: infer A } ? A : never;
/** Result of one operation; undefined where it has none. */
export type ResultOf<O extends OperationName> = Extract<Reply, { op: O }> extends { result: infer R } ? R : undefined;

/** The helper, bound to a store, an id map and a way to be root. */
export interface Helper {
  readonly idMap: IdMap;
  /** Folder below `snapshots/` that belongs to the id map. */
  readonly idMapName: string;
  /**
   * Runs one operation to its end.
   *
   * @throws `NativeError` with the helper's failure; the signal's reason after the helper has cleaned up
   */
  call<O extends OperationName>(op: O, args: ArgumentsOf<O>, options?: CallOptions): Promise<ResultOf<O>>;
  /** Starts an operation that is talked to while it runs: `start`, `exec`, `lock`, `logs`. */
  open<O extends OperationName>(op: O, args: ArgumentsOf<O>, options?: CallOptions): Session<O>;
}

/** A secret on its way to the helper. */
export interface SecretValue {
  readonly id: string;
  readonly value: Uint8Array;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: Event) => void) | undefined;
  /** Frames of data that follow the request (paths of a copy). */
  readonly data?: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | undefined;
  /** Secrets that the arguments name, each once: sent after the data, and nowhere else. */
  readonly secrets?: readonly SecretValue[] | undefined;
  /** Standard output of the process, or content of the file. Awaited before more is read. */
  readonly onData?: ((chunk: Uint8Array) => void | Promise<void>) | undefined;
  /** Standard error of the process. */
  readonly onErrorData?: ((chunk: Uint8Array) => void | Promise<void>) | undefined;
}

/** An operation under way. */
export interface Session<O extends OperationName> {
  readonly result: Promise<ResultOf<O>>;
  control(message: Control): Promise<void>;
  /** Standard input of the process. Resolves when the helper has taken it. */
  write(chunk: Uint8Array): Promise<void>;
  /** Closes fd 0: the helper ends what it does. What is to go on says so in its arguments (`detach`); an End frame alone keeps nothing alive. */
  close(options?: { readonly detach?: boolean }): void;
}

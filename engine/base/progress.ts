/** The words of BuildKit's SolveStatus: every long act is a vertex; parallel stages share one id space. */
export type ProgressEvent = VertexEvent | StatusEvent | LogEvent | WarningEvent;

/** A step: announced, started (`started` set), ended (`completed` set). A later event of the same id replaces the earlier one. */
export interface VertexEvent {
  readonly type: 'vertex';
  readonly id: string;
  readonly parent?: string | undefined;
  /** What the user sees: `[builder 2/5] RUN pip install -r requirements.txt`. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly started?: number | undefined;
  readonly completed?: number | undefined;
  readonly cached?: boolean | undefined;
  readonly error?: string | undefined;
  /** It was stopped before its end, for a reason that lies elsewhere: another step failed, or the user asked for it. */
  readonly canceled?: boolean | undefined;
}

/** Progress inside a vertex: bytes of a blob, entries of a layer. */
export interface StatusEvent {
  readonly type: 'status';
  readonly vertex: string;
  /** Short digest or name of what is moving. */
  readonly name: string;
  readonly current: number;
  readonly total?: number | undefined;
  readonly completed?: number | undefined;
  /** Why nothing moved: a registry has the blob, or took it over from another repository of its own. */
  readonly spared?: 'exists' | 'mounted' | undefined;
}

/** Output of a step. */
export interface LogEvent {
  readonly type: 'log';
  readonly vertex: string;
  readonly stream: 1 | 2;
  readonly data: Uint8Array;
}

/** Something that the user should know and that does not stop the work. */
export interface WarningEvent {
  readonly type: 'warning';
  readonly vertex?: string | undefined;
  readonly message: string;
  readonly hint?: string | undefined;
  /** Name of the build check that it comes from. */
  readonly rule?: string | undefined;
  readonly location?: { readonly file: string; readonly startLine: number; readonly endLine: number } | undefined;
}

/** Receives every event, in order. */
export type OnEvent = (event: ProgressEvent) => void;

/** What long acts take beside their arguments. */
export interface ActOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/**
 * Runs `act` as a vertex: announced and started before, ended after, with its error; as canceled when the signal ended it.
 *
 * @returns what `act` returns; rethrows what it throws.
 */
export async function withVertex<T>(
  vertex: { readonly id: string; readonly name: string; readonly parent?: string | undefined },
  onEvent: OnEvent | undefined,
  act: () => Promise<T>,
  { signal }: Pick<ActOptions, 'signal'> = {},
): Promise<T> {
  const started = Date.now();
  onEvent?.({ type: 'vertex', ...vertex, started });
  try {
    const result = await act();
    onEvent?.({ type: 'vertex', ...vertex, started, completed: Date.now() });
    return result;
  } catch (error) {
    onEvent?.({
      type: 'vertex',
      ...vertex,
      started,
      completed: Date.now(),
      ...(signal?.aborted ? { canceled: true } : { error: error instanceof Error ? error.message : String(error) }),
    });
    throw error;
  }
}

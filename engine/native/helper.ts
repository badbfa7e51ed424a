import type { Duplex } from 'node:stream';
import { isEngineError } from '../base/errors.ts';
import { createBinaryCheck, type Binary } from './binary.ts';
import { PROTOCOL_VERSION, type IdMap, type Operation, type Request, type StoreLocation } from './protocol.ts';
import { createLockHelper, type LockHelper } from './keeper.ts';
import { createSharedSeries } from './series.ts';
import { later, notStarted, openSession, type Command } from './session.ts';
import type { ArgumentsOf, CallOptions, Helper, OperationName, ResultOf, Session } from './types.ts';

/** Starts helpers: directly, or through sudo. */
export interface Launcher {
  /** Program and arguments before the operation's word; checks the binary first. */
  readonly direct: () => Promise<Command>;
  readonly sudo: (() => Promise<Command>) | undefined;
}

/** How to be root: as we are, or through `sudo -n`. */
export type Elevation = 'direct' | 'sudo';

/** A {@link Launcher} for the binary. `sudo` is the absolute path of sudo, where it may be tried. */
export function createLauncher(binary: Binary, sudo?: string): Launcher {
  const checked = createBinaryCheck(binary);
  return {
    direct: async () => ({ program: await checked(), args: [] }),
    // -k: a password that sudo remembers must not change the rung; -n: never ask for one.
    sudo: sudo === undefined ? undefined : async () => ({ program: sudo, args: ['-n', '-k', '--', await checked()] }),
  };
}

/** Where a helper works, and as whom. */
export interface Place {
  readonly store: StoreLocation;
  readonly idMap: IdMap;
  readonly elevation: Elevation;
}

/** The helper, bound to a store and an id map. With elevation `sudo` every operation but `lock` goes through sudo (DESIGN.md 4). */
export function createHelper(launcher: Launcher, place: Place): Helper {
  const open = <O extends OperationName>(op: O, args: ArgumentsOf<O>, whole: boolean, options?: CallOptions): Session<O> =>
    openSession<O>(toRequest(place, op, args), {
      command: commandOf(launcher, place, op),
      action: actionOf(op, args),
      whole,
    }, options);
  return bound(place, open);
}

/** A helper as the caller, without an id map, whose locks need no program of their own where a series is started. */
export function createUserHelper(launcher: Launcher, store: StoreLocation): Helper & LockHelper {
  const place: Place = { store, idMap: { kind: 'root' }, elevation: 'direct' };
  const own = createHelper(launcher, place);
  const locks = createLockHelper(own, { request: toRequest(place, 'lock', {}), action: actionOf('lock', {}) });
  return { ...own, ...locks };
}

/** See {@link createSeriesHelper}. */
export interface SeriesHelper extends Helper {
  /** Ends the process, when it waits for a request; resolves when it has ended. */
  readonly close: () => Promise<void>;
  /** Where the locks are kept that were asked for when the process was started. */
  readonly locks: Promise<Duplex | undefined>;
}

/**
 * A {@link Helper} whose operations share a process where they come one after another; the process is started at once. What comes while it is
 * busy has a process of its own, as with {@link createHelper}. `keepsLocks` says, when it is started, whether it is to keep locks too.
 */
export function createSeriesHelper(launcher: Launcher, place: Place, keepsLocks: () => boolean = () => false): SeriesHelper {
  const own = createHelper(launcher, place);
  // sudo closes all but fds 0 to 2, and locks are the user's.
  const shared = createSharedSeries(commandOf(launcher, place, 'state'), () => place.elevation === 'direct' && keepsLocks());
  const open = <O extends OperationName>(op: O, args: ArgumentsOf<O>, whole: boolean, options?: CallOptions): Session<O> => {
    const alone = (): Session<O> => (whole ? sessionOf(own.call(op, args, options)) : own.open(op, args, options));
    if (ALONE.has(op) || (!whole && !LAST.has(op))) return alone();
    const plan = { action: actionOf(op, args), whole, last: LAST.has(op) };
    return later(async () => {
      const series = await shared.take().catch((error: unknown) => {
        throw isEngineError(error) ? error : notStarted(plan.action, error);
      });
      // Nothing is awaited between the question and the request.
      return series.isFree() ? series.open<O>(toRequest(place, op, args), plan, options) : alone();
    });
  };
  // Whoever needs it hears of a failure.
  shared.take().catch(() => undefined);
  return { ...bound(place, open), close: shared.close, locks: shared.locks };
}

/** Operations that the helper runs in this process or holds for long: it refuses them in a series. */
const ALONE: ReadonlySet<OperationName> = new Set(['probe', 'lock', 'extract', 'keyring']);
/** Operations that are talked to while they run: the helper ends after one. */
const LAST: ReadonlySet<OperationName> = new Set(['start', 'resume', 'exec', 'attach', 'copy-in']);

function bound(
  { idMap }: Place,
  open: <O extends OperationName>(op: O, args: ArgumentsOf<O>, whole: boolean, options?: CallOptions) => Session<O>,
): Helper {
  return {
    idMap,
    idMapName: idMapName(idMap),
    call: async <O extends OperationName>(op: O, args: ArgumentsOf<O>, options?: CallOptions): Promise<ResultOf<O>> =>
      await open(op, args, true, options).result,
    open: (op, args, options) => open(op, args, false, options),
  };
}

function commandOf(launcher: Launcher, { elevation }: Place, op: OperationName): () => Promise<Command> {
  return elevation === 'sudo' && op !== 'lock' && launcher.sudo ? launcher.sudo : launcher.direct;
}

/** A call as a session that nobody talks to. */
function sessionOf<O extends OperationName>(result: Promise<ResultOf<O>>): Session<O> {
  const nothing = (): Promise<void> => Promise.resolve();
  return { result, control: nothing, write: nothing, close: () => undefined };
}

/** Folder below `snapshots/` of an id map (DESIGN.md 7). */
export function idMapName(idMap: IdMap): string {
  if (idMap.kind === 'root') return 'root';
  return idMap.kind === 'full' ? `full-${idMap.uidCount}` : `sub-${idMap.firstUid}-${idMap.uidCount}`;
}

function toRequest<O extends OperationName>(
  { store, idMap }: { readonly store: StoreLocation; readonly idMap: IdMap },
  op: O,
  args: ArgumentsOf<O>,
): Request {
  // Type: op and args belong together by the signature of `call`; TypeScript does not see a union through a generic.
  return { version: PROTOCOL_VERSION, store, idMap, operation: { op, args } as unknown as Operation };
}

/** What the operation does, for messages: of a layer with its digest. */
function actionOf(op: OperationName, args: unknown): string {
  const layer = op === 'apply' && typeof args === 'object' && args !== null && 'diffId' in args ? args.diffId : undefined;
  return typeof layer === 'string' ? `unpack the layer ${layer}` : ACTIONS[op];
}

const ACTIONS: Readonly<Record<OperationName, string>> = {
  probe: 'probe this machine',
  lock: 'lock the store',
  apply: 'unpack a layer',
  prepare: 'prepare a snapshot',
  copy: 'copy files',
  'copy-layer': 'copy files',
  diff: 'make a layer',
  checksum: 'hash files of a stage',
  contents: 'hash files of the build context',
  'read-file': 'read a file of the image',
  'read-files': 'read files of the image',
  look: 'look at files of the image',
  unpack: 'unpack an archive',
  remove: 'remove snapshots',
  usage: 'measure snapshots',
  export: 'export the file system',
  changes: 'list the changes of the container',
  extract: 'write the output',
  volume: 'keep volumes',
  'copy-out': 'copy',
  'copy-in': 'copy',
  start: 'start the container',
  exec: 'start a process in the container',
  state: 'read the state of containers',
  kill: 'stop the container',
  logs: 'read the logs of the container',
  network: 'change networks',
  create: 'create the container',
  resume: 'start the container',
  attach: 'attach to the container',
  pause: 'pause the container',
  update: 'change the container',
  stats: 'measure containers',
  processes: "list the container's processes",
  events: 'read the journal',
  announce: 'write the journal',
  keyring: "use the kernel's keyring",
};

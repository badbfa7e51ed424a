import { createBinaryCheck, type Binary } from './binary.ts';
import { PROTOCOL_VERSION, type IdMap, type Operation, type Request, type StoreLocation } from './protocol.ts';
import { openSession, type Command } from './session.ts';
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

/** The helper, bound to a store and an id map. With elevation `sudo` every operation but `lock` goes through sudo (DESIGN.md 4). */
export function createHelper(
  launcher: Launcher,
  place: { readonly store: StoreLocation; readonly idMap: IdMap; readonly elevation: Elevation },
): Helper {
  const open = <O extends OperationName>(op: O, args: ArgumentsOf<O>, whole: boolean, options?: CallOptions): Session<O> =>
    openSession<O>(toRequest(place, op, args), {
      command: place.elevation === 'sudo' && op !== 'lock' && launcher.sudo ? launcher.sudo : launcher.direct,
      action: actionOf(op, args),
      whole,
    }, options);
  return {
    idMap: place.idMap,
    idMapName: idMapName(place.idMap),
    call: async <O extends OperationName>(op: O, args: ArgumentsOf<O>, options?: CallOptions): Promise<ResultOf<O>> =>
      await open(op, args, true, options).result,
    open: (op, args, options) => open(op, args, false, options),
  };
}

/** Folder below `snapshots/` of an id map (DESIGN.md 7). */
export function idMapName(idMap: IdMap): string {
  return idMap.kind === 'root' ? 'root' : `sub-${idMap.firstUid}-${idMap.uidCount}`;
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

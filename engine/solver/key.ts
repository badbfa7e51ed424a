import canonicalize from 'canonicalize';
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type {
  CopyFileAction,
  ExecMount,
  ExecOp,
  FileAction,
  FileOp,
  ImageOp,
  InlineFileAction,
} from '../graph/types.ts';
import { chainIds } from '../image/chain-id.ts';
import type { Digest, Platform } from '../image/types.ts';

/**
 * Version of the keys. It changes when a step of the same definition would give another layer, so that old records are misses.
 */
const KEY_VERSION = 1;

/** Key and the operation as it went into it; the latter is kept for `--explain`. */
export interface Key {
  readonly key: Digest;
  readonly op: unknown;
}

/**
 * A base image: the chain id of its layers, so that a base with another name, label or compression and equal layers still hits
 * (spec/engine.md 4a.8). The manifest's digest adds nothing to it: equal manifests have equal chains.
 */
export function imageKey(op: ImageOp): Key {
  return toKey({ type: 'image', chainId: chainIds(op.config.rootfs.diff_ids).at(-1) ?? null }, []);
}

export function scratchKey(): Key {
  return toKey({ type: 'image', chainId: null }, []);
}

/**
 * RUN: arguments, ordered environment, directory, user, platform, network, limits and mounts on the state below. Left out are proxies,
 * addresses of added hosts, ids and sharing of caches, and what secrets and caches hold (spec/engine.md 4a.3, 4a.4). A mount of files counts
 * by their content: `digests`, by input.
 */
export function execKey(
  op: ExecOp,
  platform: Platform,
  base: string,
  digests: ReadonlyMap<ExecMount, string> = new Map(),
): Key {
  const content = (mount: ExecMount): unknown => ({ ...mountEffect(mount), digest: digests.get(mount) });
  return toKey({ type: 'exec', ...execEffect(op, platform, content) }, [base]);
}

/** RUN by definition: the keys of the stages that it mounts in place of their content, as {@link definitionKey}. */
export function execDefinitionKey(
  op: ExecOp,
  platform: Platform,
  base: string,
  inputs: ReadonlyMap<number, string>,
): Key {
  const definition = (mount: ExecMount): unknown => {
    const input = 'input' in mount && mount.input !== undefined ? inputs.get(mount.input) : undefined;
    return { ...mountEffect(mount), input, source: 'source' in mount ? mount.source : undefined };
  };
  return toKey({ type: 'exec-definition', ...execEffect(op, platform, definition) }, [base]);
}

function execEffect(
  { args, env, cwd, user, network, ulimits, extraHosts, hostname, mounts = [] }: ExecOp,
  platform: Platform,
  mountOf: (mount: ExecMount) => unknown,
): Record<string, unknown> {
  return {
    args,
    env,
    cwd,
    user,
    platform: platformOf(platform),
    // Absent where nothing was asked for, so that a plain RUN keeps its key.
    ...(network === undefined ? {} : { network }),
    ...(ulimits === undefined ? {} : { ulimits }),
    ...(extraHosts === undefined ? {} : { hosts: extraHosts.map(({ name }) => name) }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(mounts.length === 0 ? {} : { mounts: mounts.map(mountOf) }),
  };
}

function mountEffect(mount: ExecMount): Record<string, unknown> {
  switch (mount.type) {
    case 'bind':
      return { type: mount.type, target: mount.target, readonly: mount.readonly };
    case 'cache': {
      const { type, target, readonly, mode, uid, gid } = mount;
      return { type, target, readonly, mode, uid, gid };
    }
    default:
      return { ...mount };
  }
}

/**
 * WORKDIR, COPY, ADD by content: what is done, and digests of the files in place of where they come from. `digests` has one list an action.
 */
export function contentKey(op: FileOp, digests: readonly (readonly string[])[], base: string): Key {
  const actions = op.actions.map((action, at) =>
    action.action === 'copy'
      ? { ...effectOf(action), names: namesOf(action), digests: digests[at] ?? [] }
      : definitionOf(action),
  );
  return toKey({ type: 'file', actions }, [base]);
}

/**
 * COPY and ADD from outside by what can be told without reading a file: `shapes` as the digests of {@link contentKey}. A step of which no record
 * has this key has none by content either.
 */
export function shapeKey(op: FileOp, shapes: readonly (readonly string[])[], base: string): Key {
  const actions = op.actions.map((action, at) =>
    action.action === 'copy' ? { ...effectOf(action), shape: shapes[at] ?? [] } : definitionOf(action),
  );
  return toKey({ type: 'file-shape', actions }, [base]);
}

/**
 * COPY --from by definition: the keys of the stages it copies from in place of their content, so that they need not be built to be found.
 */
export function definitionKey(
  op: FileOp,
  digests: readonly (readonly string[])[],
  base: string,
  inputs: ReadonlyMap<number, string>,
): Key {
  const actions = op.actions.map((action, at) => {
    if (action.action !== 'copy') return definitionOf(action);
    if (typeof action.from !== 'number') return { ...effectOf(action), digests: digests[at] ?? [] };
    return { ...effectOf(action), sources: action.sources, input: inputs.get(action.from) ?? null };
  });
  return toKey({ type: 'file-definition', actions }, [base]);
}

/**
 * That a step took files from a stage. `definition` is the step's by that one stage, on a state below that is told without the content of its
 * files: it follows from each key that the state may have. So where there is no such record, none of the step's definition can be, and the stage
 * is needed; that is known before the state below is.
 */
export function traceKey(definition: Key): Key {
  return toKey({ type: 'trace' }, [definition.key]);
}

/**
 * The state of a `COPY --link`: its layer, whose key knows nothing of the state below, on that state.
 */
export function linkKey(base: string, layer: string): Key {
  return toKey({ type: 'link' }, [base, layer]);
}

/** An action that copies nothing: all of it but its place in the Dockerfile. */
function definitionOf(action: Exclude<FileAction, CopyFileAction>): unknown {
  if (action.action === 'mkdir') return action;
  return { ...placementOf(action), name: action.name, data: action.data };
}

/** What a copy does to the destination, wherever its files come from. */
function effectOf(action: CopyFileAction): Record<string, unknown> {
  const { from, include, exclude, unpack } = action;
  return {
    ...placementOf(action),
    unpack,
    ...(include ? { include } : {}),
    ...(exclude ? { exclude } : {}),
    // From outside owners are 0:0, from a stage they are kept: the same content gives two layers.
    from: typeof from === 'number' ? 'stage' : 'context',
  };
}

function placementOf(action: CopyFileAction | InlineFileAction): Record<string, unknown> {
  const { dest, destIsDirectory, owner, mode, modeChanges } = action;
  return {
    action: action.action,
    dest,
    destIsDirectory,
    owner: owner ?? null,
    mode: mode ?? null,
    ...(modeChanges ? { modeChanges } : {}),
  };
}

/** Of a source in a stage only the last name reaches the destination; names from the context are in its digest. */
function namesOf({ from, sources }: CopyFileAction): readonly string[] {
  return typeof from !== 'number' ? [] : sources.map((source) => posix.basename(source));
}

function platformOf({ os, architecture, variant }: Platform): Record<string, unknown> {
  return { os, architecture, variant: variant ?? null };
}

/** SHA-256 over the framed version, the canonical JSON (RFC 8785) of the operation, and the keys it builds on. */
function toKey(op: unknown, inputs: readonly string[]): Key {
  const hash = createHash('sha256');
  for (const part of [`berth.step.v${KEY_VERSION}`, canonicalize(op) ?? 'null', ...inputs]) {
    const bytes = Buffer.from(part, 'utf8');
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(bytes.length));
    hash.update(length).update(bytes);
  }
  return { key: `sha256:${hash.digest('hex')}`, op };
}

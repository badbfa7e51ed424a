import { posix } from 'node:path';
import { parseMount, SyntaxMistake, type Mount, type RunInstruction } from '../dockerfile/index.ts';
import { contextVertex } from './context-vertex.ts';
import type { Conversion } from './conversion.ts';
import { fromSource } from './from-source.ts';
import { stageSource } from './path.ts';
import type { StageState } from './state.ts';
import type { BindMount, CacheMount, ExecMount, SecretMount, SshMount, VertexId } from './types.ts';

/** Mounts of a RUN, and the vertices that their files come from: inputs 1 and up. */
export interface RunMounts {
  readonly mounts: readonly ExecMount[];
  readonly inputs: readonly VertexId[];
}

/**
 * The `--mount`s of a RUN, variables expanded and paths absolute, with BuildKit's defaults (spec/engine.md 1b).
 *
 * @throws SyntaxMistake, DockerfileError
 */
export function mountsOf(conversion: Conversion, state: StageState, run: RunInstruction): RunMounts {
  const inputs: VertexId[] = [];
  const addInput = (id: VertexId): number => {
    if (!inputs.includes(id)) inputs.push(id);
    return inputs.indexOf(id) + 1;
  };
  const place: MountPlace = { conversion, state, run, addInput, agents: { count: 0 } };
  const mounts = run.mounts.map((flag) =>
    toExecMount(
      place,
      parseMount(flag, (word) => conversion.expand(state, word)),
    ),
  );
  return { mounts, inputs };
}

interface MountPlace {
  readonly conversion: Conversion;
  readonly state: StageState;
  readonly run: RunInstruction;
  /** Gives the index of an input. */
  readonly addInput: (id: VertexId) => number;
  /** Agents without a target are numbered. */
  readonly agents: { count: number };
}

function toExecMount(place: MountPlace, mount: Mount): ExecMount {
  switch (mount.type) {
    case 'bind':
      return bindMount(place, mount);
    case 'cache':
      return cacheMount(place, mount);
    case 'tmpfs':
      return { type: 'tmpfs', target: targetOf(place, mount), size: mount.size, readonly: mount.readonly };
    case 'secret':
      return secretMount(place, mount);
    case 'ssh':
      return sshMount(place, mount);
  }
}

function bindMount(place: MountPlace, mount: Mount): BindMount {
  const { conversion, state, run, addInput } = place;
  const target = targetOf(place, mount);
  const source = stageSource(mount.source ?? '/');
  const id =
    mount.from === undefined || mount.from === ''
      ? contextVertex(conversion, state, run, { from: 'context', source })
      : inputOf(place, mount.from, source);
  return { type: 'bind', target, input: addInput(id), source, readonly: mount.readonly };
}

/** The vertex with the files that `from` means; a named context is copied as the build context is. */
function inputOf({ conversion, state, run }: MountPlace, from: string, source: string): VertexId {
  const found = fromSource(conversion, state, { ...run, from });
  return found.type === 'vertex' ? found.vertex : contextVertex(conversion, state, run, { from: found, source });
}

function cacheMount(place: MountPlace, mount: Mount): CacheMount {
  const { addInput } = place;
  const { source = '/', from, sharing = 'shared', mode, uid, gid } = mount;
  if (source.split('/').includes('..')) {
    throw new SyntaxMistake('bad-value', `the source "${source}" of a cache mount leads out of it`, 'Leave out ..');
  }
  const target = targetOf(place, mount);
  const input = from === undefined || from === '' ? undefined : addInput(inputOf(place, from, stageSource(source)));
  return {
    type: 'cache',
    target,
    id: cacheId(place, mount.id || posix.normalize(mount.target ?? target)),
    sharing,
    input,
    source: stageSource(source),
    readonly: mount.readonly,
    mode,
    uid,
    gid,
  };
}

/** Build argument of BuildKit's that keeps caches of several users of one store apart. */
const NAMESPACE = 'BUILDKIT_CACHE_MOUNT_NS';

function cacheId({ conversion: { buildArgs } }: MountPlace, id: string): string {
  const namespace = Object.hasOwn(buildArgs, NAMESPACE) ? buildArgs[NAMESPACE] : undefined;
  return namespace ? `${namespace}/${id}` : id;
}

function secretMount(place: MountPlace, mount: Mount): SecretMount {
  const { env, target, required = false, mode = 0o400, uid = 0, gid = 0 } = mount;
  const id = mount.source || mount.id || posix.basename(target ?? '');
  const isFile = Boolean(target) || env === undefined;
  const path = target ? absolute(place, target) : `/run/secrets/${posix.basename(id)}`;
  if (env !== undefined && (env === '' || env.includes('='))) {
    throw new SyntaxMistake('bad-value', `env="${env}" of a secret mount is no name of a variable`, 'Write env=NAME');
  }
  return { type: 'secret', id, target: isFile ? path : undefined, env, required, mode, uid, gid };
}

function sshMount(place: MountPlace, mount: Mount): SshMount {
  const { target, required = false, mode = 0o600, uid = 0, gid = 0 } = mount;
  const id = mount.id || 'default';
  const unnamed = target ? 0 : place.agents.count++;
  const path = target ? absolute(place, target) : `/run/buildkit/ssh_agent.${unnamed}`;
  return { type: 'ssh', id, target: path, required, mode, uid, gid };
}

function targetOf(place: MountPlace, { type, target }: Mount): string {
  if (target === undefined || target === '') {
    const hint = `Write --mount=type=${type},target=/path`;
    throw new SyntaxMistake('bad-combination', `a mount of type ${type} needs a target`, hint);
  }
  return absolute(place, target);
}

function absolute({ state }: MountPlace, target: string): string {
  const path = stageSource(posix.resolve('/', state.workdir, target));
  if (path === '/')
    throw new SyntaxMistake('bad-value', `the target "${target}" of a mount is the root`, 'Write target=/path');
  return path;
}

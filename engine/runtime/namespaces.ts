import { EngineError } from '../base/errors.ts';
import type { RunSpec } from '../engine.ts';
import type { Join } from '../native/protocol.ts';
import type { Connection } from './dependencies.ts';
import { findRunning, type Found } from './list.ts';

/** Which namespaces a container does not have of its own, and whose it has instead. */
export interface SharedNamespaces {
  /** Kinds, by the runtime specification's names. */
  readonly without: readonly string[];
  readonly joins: readonly Join[];
  /** What is mounted on /dev/shm: a tmpfs of its own (or of the container that is joined), the host's, or nothing. */
  readonly shm: 'own' | 'host' | 'none';
}

/**
 * `--ipc`, `--pid`, `--uts`, `--cgroupns` and `--network container:`.
 *
 * @throws `NAMESPACE_REFUSED` for a mode that there is not or that has no place for what is asked, `CONTAINER_NOT_RUNNING`, `CONTAINER_NOT_FOUND`
 */
export async function sharedNamespaces(
  connection: Connection,
  spec: RunSpec,
  network?: Found,
): Promise<SharedNamespaces> {
  if (spec.uts === 'host' && spec.hostname) {
    throw new EngineError(
      'NAMESPACE_REFUSED',
      `Cannot use --hostname ${spec.hostname} with --uts host: conflicting options: hostname and the UTS mode`,
      { hint: "leave out --hostname, which would be the host's own, or --uts host" },
    );
  }
  const [ipc, pid] = await Promise.all([
    joined(connection, 'ipc', spec.ipc, ['private', 'shareable', 'host', 'none']),
    joined(connection, 'pid', spec.pid, ['host']),
  ]);
  const hosts = [
    ...(spec.ipc === 'host' || ipc ? ['ipc'] : []),
    ...(spec.pid === 'host' || pid ? ['pid'] : []),
    ...(spec.uts === 'host' ? ['uts'] : []),
    ...(spec.cgroupns === 'host' ? ['cgroup'] : []),
  ];
  return {
    without: hosts,
    joins: [ipc, pid, network && { namespace: 'network', container: network.state.id }].filter(
      (join) => join !== undefined,
    ),
    shm: spec.ipc === 'host' || spec.ipc === 'none' ? spec.ipc : 'own',
  };
}

async function joined(
  connection: Connection,
  namespace: 'ipc' | 'pid',
  mode: string | undefined,
  words: readonly string[],
): Promise<Join | undefined> {
  if (mode === undefined || words.includes(mode)) return undefined;
  const name = /^container:(.+)$/.exec(mode)?.[1];
  if (name === undefined) {
    throw new EngineError('NAMESPACE_REFUSED', `Cannot use --${namespace} ${mode}: invalid ${namespace} mode`, {
      hint: `${words.join(', ')} and container:NAME are the modes`,
    });
  }
  const { state, record } = await findRunning(connection, name);
  if (namespace === 'ipc' && !isShareable(record.spec.ipc)) {
    throw new EngineError(
      'NAMESPACE_REFUSED',
      `Cannot join the ipc of container ${record.name}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
      { hint: `start ${record.name} with --ipc shareable` },
    );
  }
  return { namespace, container: state.id };
}

function isShareable(mode: string | undefined): boolean {
  return mode === 'shareable' || mode === 'host' || (mode?.startsWith('container:') ?? false);
}

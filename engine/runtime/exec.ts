import { EngineError } from '../base/errors.ts';
import type { ActOptions } from '../base/progress.ts';
import type { ContainerHandle, ExecSpec, OutputOptions } from '../engine.ts';
import { createReadAccounts } from './accounts.ts';
import { adjustCapabilities, RUN_CAPABILITIES } from './capabilities.ts';
import type { Connection } from './dependencies.ts';
import { collectStart, createHandle } from './handle.ts';
import { readHostFacts } from './host.ts';
import { findRunning } from './list.ts';
import { MASKED_PATHS, RUN_PROFILE } from './profile.ts';
import { createProcess, seccompOf } from './spec.ts';
import { lookupUser } from './user.ts';

/** Starts a further process in a running container, with the container's own rights. */
export async function execInContainer(
  connection: Connection,
  nameOrId: string,
  spec: ExecSpec,
  options: ActOptions & OutputOptions,
): Promise<ContainerHandle> {
  if (spec.privileged) {
    throw new EngineError(
      'EXEC_REFUSED',
      `Cannot exec in ${nameOrId} with more rights than it has: --privileged is not supported yet`,
    );
  }
  const { helper, probe } = connection;
  const { state, record } = await findRunning(connection, nameOrId);
  const capabilities = adjustCapabilities(RUN_CAPABILITIES, record.spec.capAdd, record.spec.capDrop);
  // Users may have been added since the start: the container's own layer is looked into as well.
  const accounts = await createReadAccounts(helper)([record.rootfs.upper, ...record.rootfs.lowers], options);
  const target = { idMap: helper.idMap, probe, host: await readHostFacts(MASKED_PATHS) };
  const process = createProcess(
    RUN_PROFILE,
    {
      args: spec.command,
      env: [record.config.Env ?? [], spec.env ?? []],
      cwd: spec.workdir ?? record.config.WorkingDir ?? '',
      identity: lookupUser(spec.user ?? record.config.User ?? '', accounts, record.spec.groupAdd),
      hostname: record.hostname,
      tty: spec.tty,
      capabilities,
    },
    target.host,
  );
  const events = collectStart((event) => {
    if (event.type === 'warning') options.onEvent?.({ type: 'warning', message: event.message });
  });
  const session = helper.open(
    'exec',
    {
      container: state.id,
      process,
      seccomp: seccompOf(capabilities, target) ?? null,
      stdin: (spec.interactive ?? false) && !(spec.detach ?? false),
      detach: spec.detach ?? false,
    },
    { signal: options.signal, onEvent: events.onEvent, onData: options.onStdout, onErrorData: options.onStderr },
  );
  await Promise.race([events.running(), session.result]);
  return createHandle(session, {
    id: state.id,
    name: record.name,
    ports: state.ports,
    stopSignal: 'SIGTERM',
    stopSeconds: 10,
  });
}

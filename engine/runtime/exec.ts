import type { ActOptions } from '../base/progress.ts';
import type { ContainerHandle, ExecSpec, OutputOptions } from '../engine.ts';
import { NativeError } from '../native/index.ts';
import { createReadAccounts } from './accounts.ts';
import { CAPABILITIES } from './capabilities.ts';
import type { Connection } from './dependencies.ts';
import { collectStart, createHandle } from './handle.ts';
import { readHostFacts } from './host.ts';
import { findRunning } from './list.ts';
import { MASKED_PATHS, RUN_PROFILE } from './profile.ts';
import { checkTracing, rightsOf } from './rights.ts';
import { createProcess } from './spec.ts';
import { lookupUser } from './user.ts';
import { checkWorkdir } from './workdir.ts';

/** Starts a further process in a running container, with the container's own rights. */
export async function execInContainer(
  connection: Connection,
  nameOrId: string,
  spec: ExecSpec,
  options: ActOptions & OutputOptions,
): Promise<ContainerHandle> {
  const { helper, probe } = connection;
  const { state, record } = await findRunning(connection, nameOrId);
  const cwd = spec.workdir ?? record.config.WorkingDir ?? '';
  checkWorkdir('start a process in the container', cwd);
  // Users may have been added since the start: the container's own layer is looked into as well.
  const accounts = await createReadAccounts(helper)([record.rootfs.upper, ...record.rootfs.lowers], options);
  const target = { idMap: helper.idMap, probe, host: readHostFacts(MASKED_PATHS) };
  const rights = rightsOf(record.spec, target);
  const capabilities = spec.privileged ? CAPABILITIES : rights.capabilities;
  checkTracing(capabilities, '--privileged', target);
  const process = createProcess(
    RUN_PROFILE,
    {
      args: spec.command,
      env: [record.config.Env ?? [], record.deviceEnv ?? [], spec.env ?? []],
      cwd,
      identity: lookupUser(spec.user ?? record.config.User ?? '', accounts, record.spec.groupAdd),
      hostname: record.hostname,
      tty: spec.tty,
      capabilities,
      noNewPrivileges: rights.noNewPrivileges && !spec.privileged,
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
      seccomp: rights.seccomp ?? null,
      stdin: (spec.interactive ?? false) && !(spec.detach ?? false),
      detach: spec.detach ?? false,
    },
    { signal: options.signal, onEvent: events.onEvent, onData: options.onStdout, onErrorData: options.onStderr },
  );
  await Promise.race([events.running(), session.result]).catch((error: unknown) => {
    throw asNotFound(error, spec) ?? error;
  });
  return createHandle(session, {
    id: state.id,
    name: record.name,
    ports: state.ports,
    stopSignal: 'SIGTERM',
    stopSeconds: 10,
  });
}

/** A working directory that is not there, or is none, counts as a command that is not there: 127, as with Docker. */
function asNotFound(error: unknown, { workdir }: ExecSpec): NativeError | undefined {
  if (!(error instanceof NativeError) || error.failure.step !== 'chdir') return undefined;
  if (error.failure.errno !== 'ENOENT' && error.failure.errno !== 'ENOTDIR') return undefined;
  const hint = workdir === undefined ? error.hint : `give -w a directory that is in the container, not ${workdir}`;
  const failure = { ...error.failure, code: 'command-not-found', ...(hint === undefined ? {} : { hint }) } as const;
  return new NativeError('start a process in the container', failure, { cause: error });
}

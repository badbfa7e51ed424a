import type { ActOptions } from '../base/progress.ts';
import type { Digest, Platform } from '../image/types.ts';
import type { ContainerStats, Ended, HealthState, PublishedPort, Restart } from '../native/protocol.ts';
import type { CommitOptions, FileChange, SaveOptions } from './images.ts';
import type { Limits, RunSpec } from './run-spec.ts';

/** Containers, as Docker's commands see them. */
export interface Containers {
  /** Starts a container; attached ones are talked to through the handle. */
  run(spec: RunSpec, options?: ActOptions & OutputOptions & KeepOptions): Promise<ContainerHandle>;
  /** Makes a container that waits to be started. */
  create(spec: RunSpec, options?: ActOptions): Promise<{ readonly id: string; readonly name: string }>;
  /** Starts a container that was created or has ended. One that runs already stays as it is: undefined. With `attach`, output comes here. */
  start(
    nameOrId: string,
    options?: ActOptions & OutputOptions & { readonly attach?: boolean | undefined },
  ): Promise<ContainerHandle | undefined>;
  /** Joins the streams of a running container. @throws `CONTAINER_NOT_RUNNING`, `CONTAINER_PAUSED` */
  attach(nameOrId: string, options?: ActOptions & OutputOptions): Promise<ContainerHandle>;
  /** Stops a container, when it runs, and starts it again. */
  restart(nameOrId: string, options?: StopOptions): Promise<void>;
  /** @throws `CONTAINER_NOT_RUNNING`, `CONTAINER_PAUSED` */
  pause(nameOrId: string): Promise<void>;
  /** @throws `CONTAINER_NOT_PAUSED` */
  unpause(nameOrId: string): Promise<void>;
  /** @throws `NAME_IN_USE`, `INVALID_NAME` */
  rename(nameOrId: string, name: string): Promise<void>;
  /** Changes limits and the restart policy, of a running container at once. */
  update(
    nameOrId: string,
    changes: { readonly limits?: Limits | undefined; readonly restart?: Restart | undefined },
  ): Promise<void>;
  /** Its processes, in the host's numbering. @throws `CONTAINER_NOT_RUNNING` */
  processes(nameOrId: string): Promise<readonly number[]>;
  /** What containers use at this moment; of all that run when none is named. */
  stats(names?: readonly string[]): Promise<StatsSample>;
  list(options?: { readonly all?: boolean | undefined }): Promise<readonly ContainerSummary[]>;
  /** Bytes that each container has written into its own layer, by id. */
  sizes(): Promise<ReadonlyMap<string, number>>;
  /** By name, id or prefix. @throws `CONTAINER_NOT_FOUND`, `AMBIGUOUS` */
  resolve(nameOrId: string): Promise<ContainerSummary>;
  inspect(nameOrId: string): Promise<Record<string, unknown>>;
  logs(nameOrId: string, options: LogsOptions): Promise<void>;
  exec(nameOrId: string, spec: ExecSpec, options?: ActOptions & OutputOptions): Promise<ContainerHandle>;
  stop(nameOrId: string, options?: StopOptions): Promise<void>;
  kill(nameOrId: string, signal?: string): Promise<void>;
  wait(nameOrId: string): Promise<number>;
  remove(
    nameOrId: string,
    options?: { readonly force?: boolean | undefined; readonly volumes?: boolean | undefined },
  ): Promise<void>;
  /** A `docker cp`. One end is a container, running or not. */
  copy(source: CopySource, target: CopyTarget, options?: CopyOptions): Promise<CopyReport>;
}

/** Where a copy comes from; paths are absolute. */
export type CopySource =
  | { readonly kind: 'host'; readonly path: string }
  | { readonly kind: 'container'; readonly container: string; readonly path: string }
  | { readonly kind: 'tar'; readonly data: AsyncIterable<Uint8Array> };

/** Where a copy goes. A trailing slash of a path asks for a directory. */
export type CopyTarget =
  | { readonly kind: 'host'; readonly path: string }
  | { readonly kind: 'container'; readonly container: string; readonly path: string }
  | { readonly kind: 'tar'; readonly onData: (chunk: Uint8Array) => void | Promise<void> };

export interface CopyOptions extends ActOptions {
  /** Copy what a link leads to. */
  readonly follow?: boolean | undefined;
  /** Keep user and group. */
  readonly archive?: boolean | undefined;
}

export interface CopyReport {
  readonly entries: number;
  /** Bytes of content. */
  readonly bytes: number;
}

/** What turns containers into files and images. */
export interface ContainerFiles {
  /** `docker export`: the container's file system as a tar, streamed. */
  export(nameOrId: string, options: Pick<SaveOptions, 'write'> & ActOptions): Promise<void>;
  /** `docker diff`, by path. */
  changes(nameOrId: string, options?: ActOptions): Promise<readonly FileChange[]>;
  /** `docker commit`; gives the image id. */
  commit(nameOrId: string, options?: CommitOptions & ActOptions): Promise<Digest>;
}

export interface StopOptions {
  readonly signal?: string | undefined;
  /** Until SIGKILL. */
  readonly seconds?: number | undefined;
}

/** Figures of one moment. */
export interface StatsSample {
  /** Processor time of the whole machine so far, in microseconds. */
  readonly systemMicroseconds: number;
  readonly processors: number;
  readonly memoryTotal: number;
  readonly containers: readonly (ContainerStats & { readonly name: string })[];
}

/** What becomes of a container that cannot be started. */
export interface KeepOptions {
  /** It stays as one that was made, unless it has `rm`, and this hears of its id; left out, nothing of it stays. */
  readonly onKept?: ((id: string) => void) | undefined;
}

export interface OutputOptions {
  readonly onStdout?: ((chunk: Uint8Array) => void | Promise<void>) | undefined;
  readonly onStderr?: ((chunk: Uint8Array) => void | Promise<void>) | undefined;
}

export interface ExecSpec {
  readonly command: readonly string[];
  readonly env?: readonly string[] | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly detach?: boolean | undefined;
  readonly interactive?: boolean | undefined;
  readonly tty?: { readonly rows: number; readonly columns: number } | undefined;
  readonly privileged?: boolean | undefined;
}

/** A started container (or exec). */
export interface ContainerHandle {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  /** Ports with the numbers that the kernel chose. */
  readonly ports: readonly PublishedPort[];
  /** When the process has ended; of a detached container at once, with exitCode null. */
  readonly ended: Promise<Ended>;
  write(chunk: Uint8Array): Promise<void>;
  closeStdin(): Promise<void>;
  signal(name: string): Promise<void>;
  resize(rows: number, columns: number): Promise<void>;
  /** Lets go of the process, which goes on; `ended` resolves with exitCode null. */
  detach(): Promise<void>;
  /** Sends the stop signal, then SIGKILL after `seconds`; resolves with the end. */
  stop(seconds?: number): Promise<Ended>;
}

export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly imageId: Digest;
  /** What the image is for; containers of an older engine have none. */
  readonly platform?: Platform | undefined;
  readonly command: readonly string[];
  readonly status: 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';
  readonly exitCode: number | null;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly ports: readonly PublishedPort[];
  readonly labels: Readonly<Record<string, string>>;
  readonly pid: number | null;
  /** Volumes by name and binds by host path, with where they are mounted. */
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
  /** Its networks by name, with ids for those of the store. */
  readonly networks: readonly { readonly name: string; readonly id?: string | undefined }[];
  /** Ports that are exposed and not published: `8080/tcp`. */
  readonly exposed: readonly string[];
  /** `starting`, `healthy` or `unhealthy`, where there is a check. */
  readonly health?: HealthState['status'] | undefined;
  /** It has a terminal, and standard input. */
  readonly tty: boolean;
  readonly interactive: boolean;
}

export interface LogsOptions extends OutputOptions {
  /** Put what the log driver adds before each line: nothing, and a blank, as Docker does. */
  readonly details?: boolean | undefined;
  readonly follow?: boolean | undefined;
  readonly tail?: number | undefined;
  /** Milliseconds since 1970. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly timestamps?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

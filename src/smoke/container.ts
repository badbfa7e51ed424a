import type {
  ContainerConfig,
  ContainerHandle,
  Containers,
  Ended,
  OnEvent,
  PublishedPort,
  RunSpec,
} from '../../engine/index.ts';
import { createContainerLog, type ContainerLog } from './logs.ts';
import { detectPreset } from './presets.ts';
import type { SmokeSpec } from './spec.ts';

/** What a smoke test needs of the engine. */
export interface SmokeEngine {
  readonly containers: Pick<Containers, 'run' | 'resolve'>;
}

/** The image under test. */
export interface SmokeImage {
  /** Name, id or digest that the engine resolves. */
  readonly reference: string;
  readonly config: ContainerConfig;
  /** Bytes, for the report and `image_size`. */
  readonly size?: number | undefined;
}

/** A running container under test. */
export interface TestContainer {
  readonly log: ContainerLog;
  /** Where its ports are reached from here: container port → address. */
  readonly ports: ReadonlyMap<number, { readonly host: string; readonly port: number }>;
  /** `performance.now()` when its process ran. */
  readonly startedAt: number;
  /** The end, once it is there. */
  ended(): Ended | undefined;
  readonly whenEnded: Promise<Ended>;
  pid(): Promise<number | null>;
  /** The stop signal, then SIGKILL after `seconds`. Resolves at once when it has ended. */
  stop(seconds: number): Promise<Ended>;
}

/** Starts the image as production would: its own entrypoint, user and stop signal, its ports published on loopback. */
export async function startTestContainer(
  engine: SmokeEngine,
  image: SmokeImage,
  spec: SmokeSpec,
  options: {
    readonly ports: readonly number[];
    readonly signal?: AbortSignal | undefined;
    readonly onEvent?: OnEvent | undefined;
  },
): Promise<TestContainer> {
  const log = createContainerLog();
  const take = (stream: 'stdout' | 'stderr') => (chunk: Uint8Array) => {
    log.add(stream, chunk);
    options.onEvent?.({ type: 'log', vertex: 'smoke', stream: stream === 'stdout' ? 1 : 2, data: chunk });
  };
  const handle = await engine.containers.run(toRunSpec(image, spec, options.ports), {
    signal: options.signal,
    onEvent: options.onEvent,
    onStdout: take('stdout'),
    onStderr: take('stderr'),
  });
  return watch(engine, handle, log);
}

function watch(engine: SmokeEngine, handle: ContainerHandle, log: ContainerLog): TestContainer {
  let end: Ended | undefined;
  const whenEnded = handle.ended.then((ended) => (end = ended));
  // Whoever waits sees the rejection; nobody may be waiting when it comes.
  whenEnded.catch(() => undefined);
  return {
    log,
    ports: new Map(handle.ports.map((port) => [port.containerPort, { host: port.hostAddress, port: port.hostPort }])),
    startedAt: performance.now(),
    ended: () => end,
    whenEnded,
    pid: async () => {
      const summary = await engine.containers.resolve(handle.id).catch(() => undefined);
      return summary?.pid ?? null;
    },
    stop: async (seconds) => end ?? (await Promise.race([whenEnded, handle.stop(seconds)])),
  };
}

function toRunSpec(image: SmokeImage, { run, shutdown }: SmokeSpec, ports: readonly number[]): RunSpec {
  return {
    image: image.reference,
    pull: 'never',
    rm: true,
    env: Object.entries(run.env).map(([name, value]) => `${name}=${value}`),
    ...(run.args === undefined ? {} : { command: run.args }),
    ...(run.user === undefined ? {} : { user: run.user }),
    ...(run.readOnly ? { readonly: true, mounts: [{ type: 'tmpfs', target: '/tmp', mode: 0o1777 } as const] } : {}),
    network: 'private',
    stopTimeout: Math.ceil(shutdown.timeoutSeconds),
    ports: ports.map(publish),
  };
}

function publish(containerPort: number): PublishedPort {
  return { hostAddress: '127.0.0.1', hostPort: 0, containerPort, protocol: 'tcp' };
}

/** The ports that may be the server's, likeliest first: the spec's, the image's EXPOSE, its `PORT`, the preset's. */
export function candidatePorts(spec: SmokeSpec, config: ContainerConfig): readonly number[] {
  if (spec.readinessProbe.port !== undefined) return [spec.readinessProbe.port];
  const exposed = Object.keys(config.ExposedPorts ?? {}).flatMap((key) => {
    const [port = '', protocol = 'tcp'] = key.split('/');
    return protocol === 'tcp' && isPort(Number(port)) ? [Number(port)] : [];
  });
  if (exposed.length > 0) return exposed;
  const assigned = [...(config.Env ?? []), ...Object.entries(spec.run.env).map((pair) => pair.join('='))]
    .filter((variable) => variable.startsWith('PORT='))
    .map((variable) => Number(variable.slice('PORT='.length)));
  return [...new Set([...assigned.slice(-1).filter(isPort), ...spec.readinessProbe.fallbackPorts])];
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

/** Whether `auto` may take the image for a server: it says so itself, or a preset knows its labels or variables. */
export function looksLikeServer(config: ContainerConfig): boolean {
  const test = config.Healthcheck?.Test[0];
  const says = Object.keys(config.ExposedPorts ?? {}).length > 0 || (test !== undefined && test !== 'NONE');
  return says || detectPreset(config) !== undefined;
}

import type {
  ContainerConfig,
  ContainerFiles,
  ContainerHandle,
  Containers,
  Digest,
  Ended,
  Engine,
  FileChange,
  OnEvent,
  PublishedPort,
  RunSpec,
} from '../../engine/index.ts';
import { createContainerLog, type ContainerLog } from './logs.ts';
import { detectPreset } from './presets.ts';
import type { SmokeSpec } from './spec.ts';

/** What a smoke test needs of the engine. */
export interface SmokeEngine {
  readonly containers: Pick<Containers, 'run' | 'resolve' | 'remove'> & Pick<ContainerFiles, 'changes' | 'commit'>;
  readonly images: Pick<Engine['images'], 'files' | 'remove'>;
}

/** The image under test. */
export interface SmokeImage {
  /** Digest of its manifest, where it has one. */
  readonly digest?: Digest | undefined;
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
  /** What it wrote to its root, once it has ended; undefined where that cannot be told. */
  changes(): Promise<readonly FileChange[] | undefined>;
  remove(): Promise<void>;
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
    /** Hears of every line that it says. */
    readonly onLine?: ((line: string) => void) | undefined;
  },
): Promise<TestContainer> {
  const log = createContainerLog(options.onLine);
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
    // A report that lacks this line is better than none.
    changes: async () => await engine.containers.changes(handle.id).catch(() => undefined),
    remove: async () => await engine.containers.remove(handle.id, { force: true, volumes: true }),
  };
}

function toRunSpec(image: SmokeImage, { run, shutdown }: SmokeSpec, ports: readonly number[]): RunSpec {
  return {
    image: image.reference,
    pull: 'never',
    env: Object.entries(run.env).map(([name, value]) => `${name}=${value}`),
    ...(run.args === undefined ? {} : { command: run.args }),
    ...(run.user === undefined ? {} : { user: run.user }),
    ...(run.readOnly ? { readonly: true } : {}),
    mounts: [...(run.readOnly ? [TMP] : []), ...run.mounts],
    limits: run.limits,
    network: run.network === 'egress' ? 'bridge' : 'private',
    stopTimeout: Math.ceil(shutdown.timeoutSeconds),
    ports: ports.map(publish),
  };
}

/** A read-only root without it breaks most servers. */
const TMP = { type: 'tmpfs', target: '/tmp', mode: 0o1777 } as const;

function publish(containerPort: number): PublishedPort {
  return { hostAddress: '127.0.0.1', hostPort: 0, containerPort, protocol: 'tcp' };
}

/** The ports that may be the server's, likeliest first: the spec's, the image's EXPOSE, its `PORT`, the preset's. */
export function candidatePorts(spec: SmokeSpec, config: ContainerConfig): readonly number[] {
  if (spec.readinessProbe.port !== undefined) return [spec.readinessProbe.port];
  const exposed = exposedPorts(config);
  if (exposed.length > 0) return exposed;
  const assigned = [...(config.Env ?? []), ...Object.entries(spec.run.env).map((pair) => pair.join('='))]
    .filter((variable) => variable.startsWith('PORT='))
    .map((variable) => Number(variable.slice('PORT='.length)));
  return [...new Set([...assigned.slice(-1).filter(isPort), ...spec.readinessProbe.fallbackPorts])];
}

/** As {@link candidatePorts}, for a preset that nobody asked for: what the image EXPOSEs comes before the port that such servers have. */
export function detectedPorts(spec: SmokeSpec, config: ContainerConfig): readonly number[] {
  const { port } = spec.readinessProbe;
  const exposed = exposedPorts(config);
  if (port === undefined || exposed.includes(port)) return candidatePorts(spec, config);
  return [...exposed, port];
}

function exposedPorts({ ExposedPorts }: ContainerConfig): readonly number[] {
  return Object.keys(ExposedPorts ?? {}).flatMap((key) => {
    const [port = '', protocol = 'tcp'] = key.split('/');
    return protocol === 'tcp' && isPort(Number(port)) ? [Number(port)] : [];
  });
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

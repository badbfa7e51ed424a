import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ProgressEvent } from '../../engine/base/progress.ts';
import {
  createEngine,
  type BuildRequest,
  type BuildResult,
  type Engine,
  type EngineOptions,
} from '../../engine/index.ts';
import { HELPER } from './berth.ts';

/** An engine on a store of its own, with a build context. */
export interface TestEngine {
  readonly engine: Engine;
  readonly root: string;
  readonly context: string;
  /** Writes files of the context; executable where the name begins with `bin/`. */
  readonly write: (files: Readonly<Record<string, string>>) => Promise<void>;
  /** Builds the Dockerfile in the context, and gives the events beside the result. */
  readonly build: (dockerfile: string, request?: Partial<BuildRequest>, signal?: AbortSignal) => Promise<BuiltEvents>;
  /** Another engine on the same store. */
  readonly again: (options?: Partial<EngineOptions>) => Promise<Engine>;
  readonly close: () => Promise<void>;
}

export interface BuiltEvents extends BuildResult {
  readonly events: readonly ProgressEvent[];
  /** What the steps printed. */
  readonly output: string;
}

/** Path of a static busybox (Debian: busybox-static), with which most images of the tests are made. */
export const BUSYBOX = '/bin/busybox';

export async function openTestEngine(options: Partial<EngineOptions> = {}): Promise<TestEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-engine-'));
  const root = join(folder, 'store');
  const context = join(folder, 'context');
  await mkdir(context);
  await copyFile(BUSYBOX, join(context, 'busybox'));
  await chmod(join(context, 'busybox'), 0o755);
  const open = (more: Partial<EngineOptions> = {}): Promise<Engine> =>
    createEngine({ root, helper: HELPER, isolation: 'root', ...options, ...more });
  const engine = await open();
  const write: TestEngine['write'] = async (files) => {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(context, name)), { recursive: true });
      await writeFile(join(context, name), content, { mode: name.startsWith('bin/') ? 0o755 : 0o644 });
    }
  };
  return {
    engine,
    root,
    context,
    write,
    build: async (dockerfile, request, signal) => buildWith(engine, { context, dockerfile, ...request }, signal),
    again: open,
    close: async () => {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function buildWith(engine: Engine, request: BuildRequest, signal?: AbortSignal): Promise<BuiltEvents> {
  const events: ProgressEvent[] = [];
  const result = await engine.build(request, { onEvent: (event) => events.push(event), signal });
  const logs = events.flatMap((event) => (event.type === 'log' ? [Buffer.from(event.data)] : []));
  return { ...result, events, output: Buffer.concat(logs).toString() };
}

/** First lines of most Dockerfiles of the tests: busybox as shell. */
export const SHELL = `FROM scratch AS shell
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && mkdir -p /tmp"]
`;

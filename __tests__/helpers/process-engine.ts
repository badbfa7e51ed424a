// A SmokeEngine whose containers are plain Node processes: real sockets, real signals, real exit codes, no image needed.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { EngineError, type ContainerHandle, type ContainerSummary, type Ended } from '../../engine/index.ts';
import type { SmokeEngine, SmokeImage } from '../../src/smoke/index.ts';
import { memoryFiles, type MemoryFile } from './image-files.ts';

/** 127.0.0.2: reaches a server that binds 0.0.0.0, and not one that binds 127.0.0.1, as a container's address does. */
const OUTSIDE = '127.0.0.2';

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An image that is a script; `PORT` in it is the exposed port. */
export async function scriptImage(script: string): Promise<SmokeImage & { readonly port: number }> {
  const port = await freePort();
  return {
    reference: `const PORT = ${port};\n${script}`,
    config: { ExposedPorts: { [`${port}/tcp`]: {} }, Cmd: ['node'] },
    size: 5 << 20,
    port,
  };
}

export interface ProcessEngine extends SmokeEngine {
  /** Ids of containers that still run. */
  running(): readonly string[];
}

/** @param files what the image holds; an entrypoint that is given runs as a program of this machine instead of the script. @param refused a program that it cannot run */
export function createProcessEngine(files: Readonly<Record<string, MemoryFile>> = {}, refused?: string): ProcessEngine {
  const pids = new Map<string, number>();
  return {
    running: () => [...pids.keys()],
    images: {
      files: async (_image, use) => await use(memoryFiles(files)),
      remove: async () => [],
    },
    containers: {
      run: async (spec, options = {}) => {
        const script = [process.execPath, '--input-type=commonjs', '-e', spec.image];
        const given = [...(spec.entrypoint ?? []), ...(spec.command ?? [])];
        const [program = '', ...args] = spec.entrypoint === undefined ? script : given;
        if (program === refused) throw new EngineError('NATIVE_NOT_FOUND', `Cannot run ${program}: it is not there`);
        const child = spawn(program, args, {
          stdio: ['ignore', 'pipe', 'pipe'],
          env: Object.fromEntries((spec.env ?? []).map((variable) => variable.split('=', 2) as [string, string])),
        });
        const id = String(child.pid);
        child.stdout.on('data', (chunk: Uint8Array) => void options.onStdout?.(chunk));
        child.stderr.on('data', (chunk: Uint8Array) => void options.onStderr?.(chunk));
        const ended = new Promise<Ended>((resolve) => {
          child.on('close', (code, signal) => {
            pids.delete(id);
            resolve(toEnded(code, signal));
          });
        });
        pids.set(id, child.pid ?? 0);
        const handle: ContainerHandle = {
          id,
          name: id,
          ports: (spec.ports ?? []).map((port) => ({ ...port, hostAddress: OUTSIDE, hostPort: port.containerPort })),
          ended,
          write: async () => undefined,
          closeStdin: async () => undefined,
          signal: async (name) => void child.kill(name as NodeJS.Signals),
          resize: async () => undefined,
          detach: async () => undefined,
          stop: async (seconds = 10) => {
            child.kill('SIGTERM');
            const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
            return await ended.finally(() => clearTimeout(timer));
          },
        };
        return handle;
      },
      changes: async () => [{ kind: 'added', path: '/tmp/cache' }],
      commit: async (id) => `sha256:${id.padStart(64, '0')}`,
      remove: async () => undefined,
      resolve: async (id) => ({ id, pid: pids.get(id) ?? null }) as ContainerSummary,
    },
  };
}

function toEnded(code: number | null, signal: NodeJS.Signals | null): Ended {
  return {
    exitCode: code ?? 128,
    signal,
    oomKilled: false,
    memoryPeak: 50 << 20,
    memorySource: 'rusage',
    cpuMicroseconds: 1000,
  };
}

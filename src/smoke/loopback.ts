import type { TestContainer } from './container.ts';
import { readListeners, type Listener } from './listen.ts';

/** What a server that only talks to itself is told. */
export interface LoopbackFinding {
  readonly kind: 'failed';
  readonly reason: 'loopback-only';
  readonly message: string;
  readonly hint: string;
}

/** Looks at the sockets, a second apart, after which a loopback listener counts as the final one. */
const LOOPBACK_SIGHTINGS = 3;

/** Looks, at most once a second, whether one of the ports is bound to loopback only. */
export function createLoopbackWatch(
  container: TestContainer,
  ports: readonly number[],
): { look(): Promise<LoopbackFinding | undefined> } {
  let next = container.startedAt + 1000;
  let sightings = 0;
  return {
    look: async () => {
      if (performance.now() < next) return undefined;
      next = performance.now() + 1000;
      const port = loopbackOnly(await listenersOf(container), ports);
      sightings = port === undefined ? 0 : sightings + 1;
      if (port === undefined || sightings < LOOPBACK_SIGHTINGS) return undefined;
      return {
        kind: 'failed',
        reason: 'loopback-only',
        message: `the server listens on 127.0.0.1:${port} inside the container, where nobody outside can reach it`,
        hint: `Bind 0.0.0.0 instead: uvicorn --host 0.0.0.0, gunicorn --bind 0.0.0.0:${port}, app.run(host="0.0.0.0")`,
      };
    },
  };
}

function loopbackOnly(listeners: readonly Listener[], ports: readonly number[]): number | undefined {
  return ports.find((port) => {
    const bound = listeners.filter((listener) => listener.port === port);
    return bound.length > 0 && bound.every(({ loopback }) => loopback);
  });
}

/** What listens in the container's network namespace. */
export async function listenersOf(container: TestContainer): Promise<readonly Listener[]> {
  const pid = await container.pid();
  return pid === null ? [] : await readListeners(pid);
}

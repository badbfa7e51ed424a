import { createRegistry } from '../../engine/registry/registry.ts';
import type { Registry, RegistryOptions } from '../../engine/registry/types.ts';
import { type Script, type ScriptedServer, startScriptedServer } from './scripted-server.ts';

/** Servers and clients of one test; `clear` ends them all. */
export interface RegistryBench {
  server(script: Script): Promise<ScriptedServer>;
  client(options?: RegistryOptions): Registry;
  clear(): Promise<void>;
}

export function createRegistryBench(): RegistryBench {
  const open: { close(): Promise<void> }[] = [];
  return {
    server: async (script) => {
      const server = await startScriptedServer(script);
      open.push(server);
      return server;
    },
    client: (options = {}) => {
      const client = createRegistry({ timing: { minRetry: 2, maxRetry: 20 }, ...options });
      open.push(client);
      return client;
    },
    clear: async () => {
      await Promise.all(open.splice(0).map((each) => each.close()));
    },
  };
}

/** All bytes of a stream. */
export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What a promise is rejected with. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; hint?: string; status?: number }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it should have failed');
}

import { join } from 'node:path';
import { ensurePythonBase } from '../../../scripts/base-image.ts';
import { BASE_CACHE, createWorld, type World } from './world.ts';
import { takeAccount } from './account.ts';

/** A registry of ours on loopback that serves `python:3.11-slim`. */
export interface BaseRegistry {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** BERTH_REGISTRY_MIRRORS that leads to it. */
  readonly mirrors: string;
  /** The digest that a tag has there, or undefined. */
  digest(repository: string, tag: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

/** Starts `berth registry` as root on a store of its own, with the base image in it. */
export async function startBaseRegistry(): Promise<BaseRegistry> {
  const world = createWorld(takeAccount('root'));
  const { host, stop } = await serve(world);
  try {
    await ensurePythonBase({ registry: `http://${host}`, cache: BASE_CACHE });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    host,
    mirrors: `docker.io=http://${host}`,
    digest: async (repository, tag) => {
      const accept = 'application/vnd.oci.image.manifest.v1+json';
      const response = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, { headers: { accept } });
      await response.body?.cancel();
      return response.ok ? (response.headers.get('docker-content-digest') ?? undefined) : undefined;
    },
    stop,
  };
}

async function serve(world: World): Promise<{ readonly host: string; readonly stop: () => Promise<void> }> {
  const running = world.startBerth(['registry', 'serve', '--listen', '127.0.0.1:0'], {
    cwd: join(world.folder),
  });
  let output = '';
  running.child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  running.child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await running.saw(/127\.0\.0\.1:\d+/);
  const host = /127\.0\.0\.1:\d+/.exec(output)?.[0] ?? '';
  const stop = async (): Promise<void> => {
    running.child.kill('SIGTERM');
    await running.ended;
    await world.remove();
  };
  return { host, stop };
}

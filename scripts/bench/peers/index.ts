import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NO_DOCKER } from '../../../__tests__/e2e/support/docker.ts';
import { createBerth } from './berth.ts';
import { createBuildah } from './buildah.ts';
import { createDocker } from './docker.ts';
import type { Peer, PeerOptions } from './types.ts';

/** Short names for `--peers`, and how each begins. */
const MAKERS: Readonly<Record<string, (options: PeerOptions) => Promise<Peer>>> = {
  berth: createBerth,
  docker: async (options) => await createDocker(options, false),
  containerd: async (options) => await createDocker(options, true),
  buildah: createBuildah,
};

/** What `--peers` may name. */
export const PEER_NAMES: readonly string[] = Object.keys(MAKERS);

/**
 * Starts the peers that are possible here, each with a folder of its own below `state`.
 *
 * @param onLine told why a peer is left out
 */
export async function startPeers(
  wanted: readonly string[],
  { registry, state }: PeerOptions,
  onLine: (line: string) => void,
): Promise<readonly Peer[]> {
  const peers: Peer[] = [];
  for (const name of wanted) {
    const missing = reasonAgainst(name);
    if (missing !== undefined) {
      onLine(`${name} is left out: ${missing}`);
      continue;
    }
    const folder = join(state, name);
    await mkdir(folder, { recursive: true });
    const peer = await MAKERS[name]?.({ registry, state: folder });
    if (peer) peers.push(peer);
  }
  return peers;
}

function reasonAgainst(name: string): string | undefined {
  if (name === 'docker' || name === 'containerd') return NO_DOCKER;
  if (name !== 'buildah') return undefined;
  const missing = ['buildah', 'podman'].find((program) => spawnSync(program, ['--version']).status !== 0);
  return missing === undefined ? undefined : `${missing} is not installed`;
}

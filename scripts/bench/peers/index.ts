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
 * @param told `onLine` why a peer is left out; `onPeer` each that has come up, before the next is started: it must be closed whatever follows
 */
export async function startPeers(
  wanted: readonly string[],
  { registry, state }: PeerOptions,
  told: { readonly onLine: (line: string) => void; readonly onPeer: (peer: Peer) => void },
): Promise<void> {
  for (const name of wanted) {
    const missing = reasonAgainst(name);
    if (missing !== undefined) {
      told.onLine(`${name} is left out: ${missing}`);
      continue;
    }
    const folder = join(state, name);
    await mkdir(folder, { recursive: true });
    const peer = await MAKERS[name]?.({ registry, state: folder });
    if (peer) told.onPeer(peer);
  }
}

function reasonAgainst(name: string): string | undefined {
  if (name === 'docker' || name === 'containerd') return NO_DOCKER;
  if (name !== 'buildah') return undefined;
  const missing = ['buildah', 'podman'].find((program) => spawnSync(program, ['--version']).status !== 0);
  return missing === undefined ? undefined : `${missing} is not installed`;
}

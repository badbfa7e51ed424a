import { stat } from 'node:fs/promises';
import { EngineError } from './base/errors.ts';
import type { SshAgent } from './engine.ts';

/**
 * Refuses agents whose socket is not there before anything is built, as BuildKit does. Whether one answers shows when a step uses it.
 *
 * @throws `SSH_AGENT_UNREACHABLE` naming the agent and the path
 */
export async function requireAgents(agents: readonly SshAgent[]): Promise<void> {
  for (const { id, socket } of agents) {
    const found = await stat(socket).catch(() => undefined);
    if (found?.isSocket()) continue;
    const state = found ? 'it is no socket' : 'there is no such socket';
    throw new EngineError('SSH_AGENT_UNREACHABLE', `Cannot use the SSH agent "${id}" at ${socket}: ${state}`, {
      hint: `Start one with: eval "$(ssh-agent)" && ssh-add, then --ssh ${id}`,
    });
  }
}

import { randomBytes } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { EngineError, messageOf } from './base/errors.ts';
import type { AgentSocket } from './solver/index.ts';

/**
 * A socket below `run/` that hands every connection on to an SSH agent: a step gets it with an owner and a mode of its own, and the agent only
 * ever hears from this process. The folder is closed to other users.
 *
 * @param agent hostPath of the agent's socket
 * @throws `SSH_AGENT_UNREACHABLE` when nobody listens there
 */
export async function openAgentSocket(root: string, agent: string): Promise<AgentSocket> {
  await tryAgent(agent);
  const folder = join(root, 'run');
  const name = `agent-${randomBytes(8).toString('hex')}`;
  // A path through the open folder: that of a store may be longer than a socket's may be.
  const handle = await open(folder, 'r');
  const connections = new Set<Socket>();
  let isOpen = true;
  const server = createServer((socket) => (isOpen ? forward(socket, agent, connections) : socket.destroy()));
  try {
    await listen(server, `/proc/self/fd/${handle.fd}/${name}`);
  } finally {
    await handle.close();
  }
  return {
    name,
    close: async () => {
      isOpen = false;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
      await unlink(join(folder, name)).catch(() => undefined);
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Two sockets, joined; the end of one is the end of the other. */
function forward(socket: Socket, agent: string, connections: Set<Socket>): void {
  const onward = createConnection(agent);
  for (const [one, other] of [
    [socket, onward],
    [onward, socket],
  ] as const) {
    connections.add(one);
    // The program in the container sees a closed connection, which it reports itself.
    one.on('error', () => undefined);
    one.on('close', () => {
      connections.delete(one);
      other.destroy();
    });
    one.pipe(other);
  }
}

async function tryAgent(agent: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = createConnection(agent, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', (error) => reject(unreachable(agent, error)));
  });
}

function unreachable(agent: string, cause: unknown): EngineError {
  return new EngineError('SSH_AGENT_UNREACHABLE', `Cannot reach the SSH agent at ${agent}: ${messageOf(cause)}`, {
    hint: 'Start one with: eval "$(ssh-agent)" && ssh-add',
    cause,
  });
}

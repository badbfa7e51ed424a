import type { Parts } from './connect.ts';
import { openAgentSocket } from './agent-socket.ts';
import type { BuildRequest } from './engine.ts';
import type { Lender } from './solver/index.ts';

/** What the RUNs of a build may mount beside files. */
export function createLender(
  { store }: Pick<Parts, 'store'>,
  { secrets = [], ssh = [] }: Pick<BuildRequest, 'secrets' | 'ssh'>,
  caches: Lender['caches'],
): Lender {
  const values = new Map(secrets.map(({ id, value }) => [id, value]));
  const agents = new Map(ssh.map(({ id, socket }) => [id, socket]));
  return {
    locks: store.locks,
    caches,
    secret: (id) => values.get(id),
    hasAgent: (id) => agents.has(id),
    agent: async (id) => await openAgentSocket(store.root, agents.get(id) ?? ''),
  };
}

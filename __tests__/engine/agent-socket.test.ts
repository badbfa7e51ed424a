import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAgentSocket } from '../../engine/agent-socket.ts';

let folder: string;
let agent: Server;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-agent-'));
  agent = createServer((socket) => socket.on('data', (data) => socket.end(`answer to ${data.toString()}`)));
  await new Promise<void>((resolve) => agent.listen(join(folder, 'agent'), resolve));
});
afterEach(async () => {
  await new Promise((resolve) => agent.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

test('hands connections on to the agent, in a store with a path longer than that of a socket may be', async () => {
  const root = join(folder, 'x'.repeat(120));
  await mkdir(join(root, 'run'), { recursive: true });
  const socket = await openAgentSocket(root, join(folder, 'agent'));
  expect(await readdir(join(root, 'run'))).toEqual([socket.name]);
  process.chdir(join(root, 'run'));
  const client = createConnection(socket.name).setEncoding('utf8');
  client.write('a question');
  const [answer] = (await once(client, 'data')) as [string];
  expect(answer).toBe('answer to a question');
  const idle = createConnection(socket.name);
  await once(idle, 'connect');
  process.chdir('/');
  const ended = once(idle, 'close');
  await socket.close();
  await ended;
  expect(await readdir(join(root, 'run'))).toEqual([]);
});

test('names the socket at which nobody listens', async () => {
  await mkdir(join(folder, 'run'));
  await expect(openAgentSocket(folder, join(folder, 'nobody'))).rejects.toMatchObject({
    code: 'SSH_AGENT_UNREACHABLE',
    message: expect.stringContaining(join(folder, 'nobody')),
  });
});

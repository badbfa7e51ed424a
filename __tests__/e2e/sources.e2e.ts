import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pushBusybox } from '../helpers/base-images.ts';
import { startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { NO_ACCOUNTS, removeAccounts, takeAccount } from './support/account.ts';
import { createWorld, type Outcome, type World } from './support/world.ts';

const suite = NO_ACCOUNTS === undefined ? describe : describe.skip;
if (NO_ACCOUNTS !== undefined) console.log(`sources: ${NO_ACCOUNTS}`);

suite('what a build of an ordinary user is lent', () => {
  let registry: DockerRegistry;
  let world: World;
  let agent: string;
  beforeAll(async () => {
    registry = await startDockerRegistry();
    await pushBusybox(`http://${registry.address}`);
    world = createWorld(takeAccount('subuid'), `docker.io=http://${registry.address}`);
    agent = await startAgent(world);
  });
  afterAll(async () => {
    process.kill(Number(readFileSync(join(world.folder, 'pid'), 'utf8')));
    await world.remove();
    await registry.close();
    removeAccounts();
  });

  async function build(files: Readonly<Record<string, string>>, args: readonly string[]): Promise<Outcome> {
    const cwd = join(world.folder, 'context');
    mkdirSync(join(cwd, 'src'), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
    execFileSync('chown', ['-R', `${world.account.uid}:${world.account.gid}`, cwd]);
    const env = { SSH_AUTH_SOCK: agent, TOKEN: 's3cr3t-canary-value', BERTH_ISOLATION: 'userns' };
    return await world.berth(['build', '--progress', 'plain', ...args, '.'], { cwd, env });
  }

  test('on the rung userns: files, caches, secrets, memory and an agent, with the owners that were asked for', async () => {
    const files = { 'src/a.txt': 'from the context\n', Dockerfile: MOUNTS };
    const outcome = await build(files, ['--secret', 'id=token,env=TOKEN', '--ssh', 'default', '-t', 'mounts']);
    const said = outcome.output.split('\n').flatMap((line) => /^#\d+ [\d.]+ (says .*)$/.exec(line)?.[1] ?? []);
    expect(said).toEqual([
      'says 0:644 5:6 from the context from a stage',
      'says 5:6:750',
      'says 1000:1000:700 app',
      'says 5:6 from a stage',
      'says from a stage more',
      'says 0:0:755 here',
      'says 0:0:400 19',
      'says 7:8:440',
      'says 19',
      'says 1000:1001:660:socket',
      'says bin dev etc home proc result root sys tmp usr var',
    ]);
    expect(outcome.code).toBe(0);
    const found = await world.run(['grep', '-rlF', 's3cr3t-canary-value', world.store]);
    expect(found.stdout).toBe('');
  });

  test('ADD and a context over ssh use the keys of the agent that is lent, and no others', async () => {
    const server = await startSshd(world);
    try {
      const { stdout } = await world.run(['id', '-un']);
      const repository = `ssh://${stdout.trim()}@127.0.0.1:${server.port}${makeRepository(world)}`;
      const Dockerfile = `FROM busybox\nADD ${repository} /app/\nRUN cat /app/file\n`;
      const added = await build({ Dockerfile }, ['--ssh', 'default']);
      expect(added.output).toContain(' from the repository');
      // The host is known for that build alone.
      const known = await world.run(['sh', '-c', 'ls ~/.ssh/known_hosts']);
      expect(known.code).not.toBe(0);
      const alone = await build({ Dockerfile }, ['--no-cache']);
      expect(alone.code).toBe(1);
      expect(alone.output).toContain('hint: Add the key to an agent with ssh-add, and give the agent: --ssh default');
      const env = { SSH_AUTH_SOCK: agent, BERTH_ISOLATION: 'userns' };
      const context = await world.berth(['build', '--progress', 'plain', repository], { env });
      expect(context.output).toContain(' from the repository');
    } finally {
      await server.stop();
    }
  });
});

/** An agent of the account, with one new key. */
async function startAgent(world: World): Promise<string> {
  const socket = join(world.folder, 'agent');
  const key = join(world.folder, 'key');
  const script = `ssh-keygen -q -t ed25519 -N '' -f ${key} && eval "$(ssh-agent -a ${socket})" && ssh-add -q ${key} && printf %s "$SSH_AGENT_PID" > ${join(world.folder, 'pid')}`;
  const { code, output } = await world.run(['sh', '-c', script]);
  if (code !== 0) throw new Error(output);
  // What ssh finds by itself would hide that the agent was not asked.
  execFileSync('mv', [key, `${key}.away`]);
  return socket;
}

interface SshServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** A server on loopback that lets the agent's key in, and no other. */
async function startSshd(world: World): Promise<SshServer> {
  const folder = join(world.folder, '..', 'sshd');
  mkdirSync(folder);
  mkdirSync('/run/sshd', { recursive: true });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'host')]);
  copyFileSync(join(world.folder, 'key.pub'), join(folder, 'authorized'));
  chmodSync(join(folder, 'authorized'), 0o644);
  const port = await freePort();
  const settings = [
    ...[`Port=${port}`, 'ListenAddress=127.0.0.1', `HostKey=${join(folder, 'host')}`, 'PidFile=none'],
    ...[`AuthorizedKeysFile=${join(folder, 'authorized')}`, 'UsePAM=yes', 'StrictModes=no'],
    ...['PasswordAuthentication=no', 'KbdInteractiveAuthentication=no'],
  ];
  const args = ['-D', '-e', '-f', '/dev/null', ...settings.flatMap((one) => ['-o', one])];
  const child = spawn('/usr/sbin/sshd', args, { stdio: 'ignore' });
  await listening(child, port);
  return {
    port,
    stop: async () => {
      child.kill();
      await once(child, 'exit');
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  while (child.exitCode === null) {
    const socket = createConnection({ host: '127.0.0.1', port });
    const isUp = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isUp) return;
    await delay(50);
  }
  throw new Error(`sshd ended with ${child.exitCode}`);
}

function makeRepository(world: World): string {
  const folder = join(world.folder, 'repository');
  const script = `git init -q ${folder} && cd ${folder} && echo from the repository > file &&
    printf 'FROM busybox\\nCOPY file /\\nRUN cat /file\\n' > Dockerfile &&
    git add . && git -c user.name=a -c user.email=a@b commit -qm first && chown -R ${world.account.uid} ${folder}`;
  execFileSync('sh', ['-c', script]);
  return `${folder}/.git`;
}

const MOUNTS = `FROM busybox AS made
RUN mkdir /out && echo from a stage > /out/b.txt && chown 5:6 /out/b.txt
FROM busybox
RUN --mount=target=/context --mount=type=bind,from=made,source=/out,target=/stage \\
    --mount=type=tmpfs,target=/memory,size=1m --mount=type=bind,source=src,target=/written,rw \\
    echo says $(stat -c %u:%a /written/a.txt) $(stat -c %u:%g /stage/b.txt) $(cat /context/src/a.txt /stage/b.txt) && \\
    ! touch /stage/x && touch /memory/x /written/x && df /memory | grep -q 1024 && echo kept > /result
RUN --mount=type=cache,target=/a,uid=5,gid=6,mode=0750 touch /a/x && echo says $(stat -c %u:%g:%a /a)
USER app
RUN --mount=type=cache,target=/own,uid=1000,gid=1000,mode=0700 touch /own/x && echo says $(stat -c %u:%g:%a /own) $(id -un)
USER root
RUN --mount=type=cache,target=/b,from=made,source=/out echo says $(stat -c %u:%g /b/b.txt) $(cat /b/b.txt) && echo more >> /b/b.txt
RUN --mount=type=cache,target=/b,from=made,source=/out echo says $(cat /b/b.txt)
RUN --mount=type=cache,id=x,target=/x mkdir -p /x/sub && touch /x/sub/here
RUN --mount=type=cache,id=x,target=/y,source=sub,ro --mount=type=cache,id=x,sharing=locked,target=/z \\
    echo says $(stat -c %u:%g:%a /z) $(ls /y) && ! touch /y/z
RUN --mount=type=secret,id=token echo says $(stat -c %u:%g:%a /run/secrets/token) $(wc -c < /run/secrets/token)
RUN --mount=type=secret,id=token,target=/root/.netrc,mode=0440,uid=7,gid=8 echo says $(stat -c %u:%g:%a /root/.netrc)
RUN --mount=type=secret,id=token,env=TOKEN echo says \${#TOKEN}
RUN --mount=type=ssh,mode=0660,uid=1000,gid=1001 echo says $(stat -c %u:%g:%a:%F "$SSH_AUTH_SOCK")
RUN echo says $(ls /)
`;

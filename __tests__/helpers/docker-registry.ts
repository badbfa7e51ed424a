import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real registry of Debian's package `docker-registry`. */
export interface DockerRegistry {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** Folder of everything that it keeps. */
  readonly storage: string;
  /** What it was asked, `GET /v2/app/blobs/sha256:…` each. */
  readonly requests: () => readonly string[];
  close(): Promise<void>;
}

/** Whether a program can be started; tests that need it skip with this reason otherwise. */
export function hasProgram(name: string): boolean {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** Starts the registry on a free loopback port, its data in a temporary folder. @param htpasswd a bcrypt line, for basic auth */
export async function startDockerRegistry(options: { readonly htpasswd?: string } = {}): Promise<DockerRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'docker-registry-'));
  const port = await freePort();
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'htpasswd'), `${options.htpasswd ?? ''}\n`);
  writeFileSync(join(folder, 'config.yml'), configOf(folder, port, options.htpasswd !== undefined));
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: Buffer[] = [];
  const access: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => access.push(chunk));
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.kill()) await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => {
        log.push(chunk);
        if (Buffer.concat(log).includes('listening on')) resolve();
      });
      child.once('exit', (code) =>
        reject(new Error(`docker-registry ended with ${code}: ${Buffer.concat(log).toString()}`)),
      );
    });
  } catch (error) {
    await close();
    throw error;
  }
  const requests = (): readonly string[] =>
    [
      ...Buffer.concat(access)
        .toString()
        .matchAll(/"([A-Z]+ \S+) HTTP\/1\.1"/g),
    ].map(([, request = '']) => request);
  return { address: `127.0.0.1:${port}`, storage: join(folder, 'data'), requests, close };
}

function configOf(folder: string, port: number, withAuth: boolean): string {
  const auth = withAuth ? `auth:\n  htpasswd:\n    realm: test\n    path: ${folder}/htpasswd\n` : '';
  return `version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage:
  filesystem: {rootdirectory: ${folder}/data}
  delete: {enabled: true}
http: {addr: '127.0.0.1:${port}'}
${auth}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  server.close();
  await once(server, 'close');
  return port;
}

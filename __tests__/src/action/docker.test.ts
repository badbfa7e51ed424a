import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findDocker, loadIntoDocker } from '../../../src/action/docker.ts';
import { readLayout, writeLayout } from '../../../src/action/layout.ts';

const NEVER = new AbortController().signal;

let folder: string;
let server: Server | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-docker-'));
});
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  await rm(folder, { recursive: true });
});

/** A daemon's two calls on a socket; gives what it was sent. */
async function daemon(answer: string, status = 200): Promise<{ readonly host: string; readonly got: Buffer[] }> {
  const got: Buffer[] = [];
  const socket = join(folder, 'docker.sock');
  server = createServer((request, response) => {
    if (request.url === '/_ping') return void response.end('OK');
    request.on('data', (chunk: Buffer) => got.push(chunk));
    request.on('end', () => response.writeHead(status).end(answer));
  }).listen(socket);
  await once(server, 'listening');
  return { host: `unix://${socket}`, got };
}

async function save(write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  for (let at = 0; at < 100; at += 1) await write(Buffer.alloc(10_000, at));
}

describe('a Docker daemon', () => {
  test('gets the archive, every byte', async () => {
    const { host, got } = await daemon('{"stream":"Loaded image: app:1\\n"}\n');
    await loadIntoDocker(await findDocker(host, NEVER), save, NEVER);
    expect(Buffer.concat(got)).toEqual(Buffer.concat(Array.from({ length: 100 }, (_, at) => Buffer.alloc(10_000, at))));
  });

  test.each([
    ['{"errorDetail":{"message":"no space"},"error":"no space left on device"}\n', 200, 'no space left on device'],
    ['{"message":"invalid archive"}', 400, 'invalid archive'],
    ['<html>', 503, 'it answered 503'],
  ])('that refuses is quoted: %s', async (answer, status, why) => {
    const { host } = await daemon(answer, status);
    await expect(loadIntoDocker(await findDocker(host, NEVER), save, NEVER)).rejects.toMatchObject({
      code: 'DOCKER_LOAD',
      message: expect.stringContaining(why) as unknown,
      hint: expect.stringContaining('oci-layout') as unknown,
    });
  });

  test('is asked for before anything is built, and oci-layout is named where none answers', async () => {
    for (const host of [`unix://${folder}/nobody.sock`, 'tcp://user:s3cret@10.0.0.1:2375']) {
      const error = await findDocker(host, NEVER).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'DOCKER_ABSENT', hint: expect.stringContaining('oci-layout') });
      expect(String(error)).not.toContain('s3cret');
    }
  });

  test('is told nothing more once the image cannot be read', async () => {
    const { host } = await daemon('');
    const broken = async (): Promise<void> => Promise.reject(new Error('the layer is lost'));
    await expect(loadIntoDocker(await findDocker(host, NEVER), broken, NEVER)).rejects.toThrow('the layer is lost');
  });
});

describe('an OCI layout folder', () => {
  const BLOB = 'a'.repeat(64);

  /** A layout's archive, and files that no layout has. */
  async function archive(): Promise<readonly Uint8Array[]> {
    const source = join(folder, 'source');
    await writeLayout(source, async () => undefined);
    await writeFile(join(source, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    await writeFile(join(source, 'index.json'), '{}');
    await writeFile(join(source, 'blobs/sha256', BLOB), 'blob');
    await symlink('/etc/passwd', join(source, 'blobs/sha256', 'b'.repeat(64)));
    await writeFile(join(source, 'blobs/sha256/other'), 'x');
    const chunks: Uint8Array[] = [];
    for await (const chunk of readLayout(source)) chunks.push(chunk);
    return chunks;
  }

  test('goes into an archive and out again, without links and what belongs to no layout', async () => {
    const chunks = await archive();
    const target = join(folder, 'deep/target');
    await writeLayout(target, async (write) => {
      for (const chunk of chunks) await write(chunk);
    });
    expect((await readdir(target)).toSorted()).toEqual(['blobs', 'index.json', 'oci-layout']);
    expect(await readdir(join(target, 'blobs/sha256'))).toEqual([BLOB]);
    expect(await readFile(join(target, 'blobs/sha256', BLOB), 'utf8')).toBe('blob');
  });

  test('is not there when the image could not be read, nor in the place of other files', async () => {
    const target = join(folder, 'target');
    const broken = async (): Promise<void> => Promise.reject(new Error('the layer is lost'));
    await expect(writeLayout(target, broken)).rejects.toThrow('the layer is lost');
    expect(await readdir(folder)).toEqual([]);
    await writeFile(join(folder, 'mine'), '');
    await expect(writeLayout(folder, broken)).rejects.toMatchObject({ code: 'PATH_EXISTS' });
  });
});

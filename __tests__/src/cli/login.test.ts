import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createHiddenLine } from '../../../src/cli/prompt.ts';
import { type Berth, createBerth, NO_CONTAINERS, type Outcome } from '../../helpers/berth.ts';

const [USER, PASSWORD] = ['ann', 'a canary: p"ss'];
/** Keeps what it is given in a file beside it. */
const HELPER = `#!/bin/sh
place="\${HOME:?}/kept"
case "$1" in
  store) cat > "$place" ;;
  get) [ -e "$place" ] || { echo 'credentials not found in native keychain'; exit 1; }; cat "$place" ;;
  erase) rm "$place" ;;
esac`;

(NO_CONTAINERS === undefined ? describe : describe.skip)(`login${NO_CONTAINERS ? `: ${NO_CONTAINERS}` : ''}`, () => {
  let store: Berth;
  let server: Server;
  let registry: string;
  const config = (text: string): Promise<void> => writeFile(join(store.work, '.docker/config.json'), text);
  const berth = (args: readonly string[], input = ''): Promise<Outcome> =>
    store.berth(args, { input, env: { PATH: `${store.work}:/usr/bin:/bin` } });
  const logIn = (...args: readonly string[]): Promise<Outcome> =>
    berth(['login', '-u', USER, '--password-stdin', ...args, registry], `${PASSWORD}\n`);

  beforeAll(async () => {
    store = await createBerth();
    await mkdir(join(store.work, '.docker'));
    const program = join(store.work, 'docker-credential-kept');
    await writeFile(program, HELPER);
    await chmod(program, 0o755);
    const wanted = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
    server = createServer(({ headers, url }, response) => {
      const known = headers.authorization === wanted;
      const status = !known ? 401 : url === '/v2/' ? 200 : 404;
      response.writeHead(status, { 'www-authenticate': 'Basic realm="test"', 'content-type': 'application/json' });
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    registry = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(async () => {
    await berth(['logout', registry]);
    await new Promise((resolve) => server.close(resolve));
    await store.remove();
  });

  test('keeps what the registry takes in the memory of the kernel, and nothing in a file', async () => {
    await config('{}');
    const { code, stdout, stderr } = await logIn();
    if (code !== 0) {
      // As in a container whose filter hides the keyring.
      expect(stderr).toContain('the kernel gives no keyring here');
      expect(stderr).toContain('name a credential helper');
      return;
    }
    expect(stdout).toBe('Login Succeeded\n');
    expect(await readFile(join(store.work, '.docker/config.json'), 'utf8')).toBe('{}');
    expect((await berth(['login', registry])).stdout).toBe(
      `Authenticating with existing credentials... [Username: ${USER}]\nLogin Succeeded\n`,
    );
    // The registry knows them, and has no such image.
    expect((await berth(['pull', `${registry}/ghost`])).stderr).toContain('404');
    expect((await berth(['logout', `http://${registry}/v2/`])).stdout).toBe(
      `Removing login credentials for ${registry}\n`,
    );
    expect((await berth(['logout', registry])).stdout).toBe(`Not logged in to ${registry}\n`);
    expect((await berth(['pull', `${registry}/ghost`])).stderr).toContain('401');
  });

  test('keeps it with the credential helper that the configuration names', async () => {
    await config('{"credsStore": "kept"}');
    expect(await logIn()).toEqual({ code: 0, stdout: 'Login Succeeded\n', stderr: '' });
    const kept: unknown = JSON.parse(await readFile(join(store.work, 'kept'), 'utf8'));
    expect(kept).toEqual({ ServerURL: registry, Username: USER, Secret: PASSWORD });
    expect((await berth(['pull', `${registry}/ghost`])).stderr).toContain('404');
    expect((await berth(['logout', registry])).stdout).toBe(`Removing login credentials for ${registry}\n`);
    expect((await berth(['logout', registry])).stdout).toBe(`Not logged in to ${registry}\n`);
  });

  test('reads a file of docker login, and changes nothing there', async () => {
    const text = JSON.stringify({ auths: { [registry]: { auth: Buffer.from('ann:old').toString('base64') } } });
    await config(text);
    for (const outcome of [await logIn(), await berth(['logout', registry])]) {
      expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('which berth only reads') });
    }
    expect(await readFile(join(store.work, '.docker/config.json'), 'utf8')).toBe(text);
  });

  test('asks the token service that a registry names, which may refuse as well', async () => {
    await config('{"credsStore": "kept"}');
    const wanted = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
    const asked: string[] = [];
    const tokens = createServer(({ headers, url = '' }, response) => {
      const host = String(headers.host);
      const isToken = url.startsWith('/token');
      if (isToken) asked.push(url);
      const known = headers.authorization === (isToken ? wanted : 'Bearer of-ann');
      const challenge = { 'www-authenticate': `Bearer realm="http://${host}/token",service="test"` };
      response.writeHead(known ? 200 : 401, { ...(isToken ? {} : challenge), 'content-type': 'application/json' });
      response.end(known && isToken ? '{"token": "of-ann"}' : '{}');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => tokens.once('listening', resolve));
    const place = `127.0.0.1:${(tokens.address() as AddressInfo).port}`;
    const words = ['login', '-u', USER, '--password-stdin', place];
    expect(await berth(words, `${PASSWORD}\n`)).toEqual({ code: 0, stdout: 'Login Succeeded\n', stderr: '' });
    expect(asked).toEqual([expect.stringContaining('service=test')]);
    const refused = await berth(words, 'wrong\n');
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(place) });
    expect((await berth(['logout', place])).stdout).toBe(`Removing login credentials for ${place}\n`);
    await new Promise((resolve) => tokens.close(resolve));
  });

  test.each([
    [['-u', USER, '-p', 'wrong'], '', '401'],
    [['-u', USER, '-p', 'x', '--password-stdin'], 'y', 'cannot specify both --password and --password-stdin'],
    [['--password-stdin'], 'x', 'requires --username'],
    [['-u', USER, '--password-stdin'], '\n', 'password is empty'],
    [['-u', USER], '', 'non TTY'],
    [['-p', 'x'], '', 'Using --password via the CLI is insecure'],
  ])('refuses %j with %j on its input: %s', async (args, input, message) => {
    await config('{}');
    const { code, stdout, stderr } = await berth(['login', ...args, registry], input);
    expect([code, stdout]).toEqual([expect.any(Number), '']);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain(PASSWORD);
  });
});

describe('a hidden line', () => {
  const type = (...chunks: readonly string[]) => {
    const line = createHiddenLine();
    return chunks.map((chunk) => line(Buffer.from(chunk))).at(-1);
  };

  test.each([
    [['pass', 'word\r'], 'password'],
    [['wrong\u0015right\n'], 'right'],
    [['abé\u007f\u007fc\u0004'], 'ac'],
    [['\u007fx\r'], 'x'],
  ])('%j is %s', (chunks, text) => expect(type(...chunks)).toEqual({ text, interrupted: false }));

  test('hears Ctrl-C', () => expect(type('ab\u0003')).toEqual({ text: undefined, interrupted: true }));
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { bundle } from '../../scripts/bundle.mjs';

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-bundle-'));
  await bundle(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the bundled command line', () => {
  test('loads nothing before it knows where compiled code is', () => {
    expect(loadedBy('index.js').filter((name) => name.endsWith('.js'))).toEqual([]);
    expect(readFileSync(join(folder, 'cli/index.js'), 'utf8')).toContain(`"${partOf('main')}"`);
  });

  test('is read a byte a character, and has no others', () => {
    const others = readdirSync(join(folder, 'cli')).filter((name) =>
      /[^\x00-\x7f]/.test(readFileSync(join(folder, 'cli', name), 'utf8')),
    );
    expect(others).toEqual([]);
  });

  test('keeps the code of a command for the next one, which runs from it', () => {
    const code = join(folder, 'kept');
    const berth = (...words: readonly string[]): string =>
      execFileSync(process.execPath, [join(folder, 'cli/index.js'), ...words], {
        encoding: 'utf8',
        env: { NODE_COMPILE_CACHE: code },
      });
    const help = berth('run', '--help');
    const [file = ''] = readdirSync(code).filter((name) => name.startsWith('run-'));
    expect(statSync(join(code, file)).size).toBeGreaterThan(10_000);
    const { ino } = statSync(join(code, file));
    expect(berth('run', '--help')).toBe(help);
    // What was rejected would have been made anew.
    expect(statSync(join(code, file)).ino).toBe(ino);
  });

  test('loads no engine for help, and no HTTP for an engine', () => {
    const main = loadedBy(partOf('main'));
    const engine = loadedBy(partOf('create'));
    expect(main).not.toContain(partOf('create'));
    for (const name of [
      partOf('undici'),
      partOf('acts'),
      partOf('tar-stream'),
      'node:http',
      'node:https',
      'node:tls',
    ]) {
      expect(main).not.toContain(name);
      expect(engine).not.toContain(name);
    }
  });

  test('has of its HTTP client neither HTTP/2 nor fetch', () => {
    const client = readFileSync(join(folder, 'cli', partOf('undici')), 'utf8');
    const has = ['"node:http"', '"node:http2"', 'lib/web/fetch/index.js', 'lib/mock/'].map((text) =>
      client.includes(text),
    );
    expect(has).toEqual([true, false, false, false]);
  });

  test("asks a server, and leaves V8's flags so that compiled code stays good", async () => {
    const server = createServer((_request, response) => response.end('yes')).listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const script = `
        const { readFileSync } = require('node:fs');
        const { cachedDataVersionTag } = require('node:v8');
        const { runInThisContext } = require('node:vm');
        const load = (name) => {
          const module = { exports: {} };
          const requirePart = (id) => (id.startsWith('./') ? load(id.slice(2)) : require(id));
          runInThisContext(readFileSync(${JSON.stringify(`${folder}/cli/`)} + name, 'utf8'))(module.exports, requirePart, module, name);
          return module.exports;
        };
        const ask = async () => {
          const { default: client } = load(${JSON.stringify(partOf('undici'))});
          const before = cachedDataVersionTag();
          const url = new URL(process.argv[1]);
          const { body } = await client.request(url, { dispatcher: new client.Agent(), method: 'GET' });
          const text = await body.text();
          process.stdout.write(text + ' ' + (cachedDataVersionTag() === before));
          process.exit();
        };
        void ask();`;
      const { port } = server.address() as AddressInfo;
      const args = ['-e', script, `http://127.0.0.1:${port}/`];
      const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env: {} });
      expect([stdout, stderr]).toEqual(['yes true', '']);
    } finally {
      server.close();
    }
  });

  test('runs from any folder, with compiled code and without', () => {
    const berth = (env: Record<string, string>): string =>
      execFileSync(process.execPath, [join(folder, 'cli/index.js'), '--version'], { encoding: 'utf8', env });
    const version = berth({ NODE_DISABLE_COMPILE_CACHE: '1' });
    expect(version).toMatch(/^berth \d+\.\d+\.\d+\n$/);
    const code = { NODE_COMPILE_CACHE: join(folder, 'code') };
    expect([berth(code), berth(code)]).toEqual([version, version]);
  });

  test('reads the files of --env-file itself, which Node would take for its own', () => {
    const file = join(folder, 'app.env');
    writeFileSync(file, 'NODE_OPTIONS=--require=/app/tracing.js\n');
    const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: folder, BERTH_ROOT: join(folder, 'store') };
    const berth = (...words: readonly string[]): string =>
      spawnSync(join(folder, 'cli/index.js'), words, { encoding: 'utf8', env }).stderr;
    expect(berth('run', '--env-file', join(folder, 'none'), 'box')).toMatch(/^berth: .*--env-file/);
    expect(berth('run', '--env-file', file, '--entrypoint')).toMatch(/^berth: flag needs an argument: --entrypoint/);
  });
});

function partOf(name: string): string {
  const found = readdirSync(join(folder, 'cli')).filter((file) => file.startsWith(`${name}-`));
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} files are ${name}`);
  return found[0];
}

/** What a file of the bundle has loaded when it has run: files beside it, and parts of Node. What is imported later stands behind an arrow. */
function loadedBy(file: string, seen = new Set<string>()): readonly string[] {
  const text = readFileSync(join(folder, 'cli', file), 'utf8');
  for (const [, path = ''] of text.matchAll(/(?<!=>(?:__toESM\()?)\brequire\("((?:node:|\.\/)[^"]+)"\)/g)) {
    const name = path.replace('./', '');
    if (seen.has(name)) continue;
    seen.add(name);
    if (name.endsWith('.js')) loadedBy(name, seen);
  }
  return [...seen];
}

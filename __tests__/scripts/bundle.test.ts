import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundle } from '../../scripts/bundle.mjs';

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-bundle-'));
  await bundle(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the bundled command line', () => {
  test('may use compiled code before it loads the command', () => {
    expect(loadedBy('index.js')).not.toContain(partOf('main'));
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

/** What a file of the bundle has loaded before its first line runs: files beside it, and parts of Node. */
function loadedBy(file: string, seen = new Set<string>()): readonly string[] {
  const text = readFileSync(join(folder, 'cli', file), 'utf8');
  for (const [, path = ''] of text.matchAll(/\b(?:from|import)\s*"((?:node:|\.\/)[^"]+)"/g)) {
    const name = path.replace('./', '');
    if (seen.has(name)) continue;
    seen.add(name);
    if (name.endsWith('.js')) loadedBy(name, seen);
  }
  return [...seen];
}

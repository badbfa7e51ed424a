import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * Which folder may import which (DESIGN.md 3). `base` and `image` are open to all of the engine; a folder may always import itself.
 * `engine` stands for the files directly in engine/: index.ts, build.ts and the types of the door.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'engine/base': [],
  'engine/image': ['engine/base'],
  'engine/archive': [],
  'engine/dockerfile': [],
  'engine/context': [],
  'engine/graph': ['engine/dockerfile'],
  'engine/native': [],
  'engine/store': ['engine/native'],
  'engine/cache': ['engine/store', 'engine/native'],
  'engine/registry': [],
  'engine/runtime': ['engine/store', 'engine/native', 'engine'],
  'engine/solver': ['engine/graph', 'engine/store', 'engine/context', 'engine/cache', 'engine/native'],
  'engine/compose': ['engine/runtime'],
  'engine/contract': ['engine/native', 'engine/store', 'engine/graph'],
  engine: [
    'engine/contract',
    'engine/archive',
    'engine/dockerfile',
    'engine/context',
    'engine/graph',
    'engine/native',
    'engine/store',
    'engine/cache',
    'engine/registry',
    'engine/runtime',
    'engine/solver',
    'engine/compose',
  ],
  'src/smoke': ['engine'],
  'src/pipeline': ['engine', 'src/smoke'],
  'src/cli': ['engine', 'src/pipeline', 'src/smoke'],
  'src/action': ['engine', 'src/pipeline', 'src/smoke', 'src/cli'],
};
const openToEngine = ['engine/base', 'engine/image'];

/** Packages that a folder may use; the rest of the tree may use none of these but what stands here. */
const packages: Readonly<Record<string, readonly string[]>> = {
  'engine/archive': ['tar-stream'],
  'engine/registry': ['undici'],
  'engine/graph': ['canonicalize'],
  'engine/solver': ['canonicalize'],
  'engine/image': ['canonicalize'],
  'engine/cache': ['canonicalize'],
  'engine/runtime': ['yaml'],
  'src/smoke': ['ajv', 'ajv-formats', 'yaml', 'json-p3'],
  'src/cli': ['yaml'],
  'src/action': ['@actions/core', '@actions/exec', '@actions/cache', '@actions/tool-cache', 'tar-stream', 'undici'],
};

interface Import {
  readonly file: string;
  readonly target: string;
}

const files = [...sources('engine'), ...sources('src')];
const imports = files.flatMap((file) => importsOf(file));

describe('architecture', () => {
  test('has files to look at', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(imports.length).toBeGreaterThan(files.length / 2);
  });

  test('imports only point down', () => {
    const wrong = imports.filter(({ target }) => target.startsWith('.')).flatMap(wrongArrow);
    expect(wrong).toEqual([]);
  });

  test('uses a package only where the house says so', () => {
    const wrong = imports
      .filter(({ target }) => !target.startsWith('.') && !builtin(target))
      .filter(
        ({ file, target }) =>
          !(packages[folderOf(file)] ?? []).some((name) => target === name || target.startsWith(`${name}/`)),
      )
      .map(({ file, target }) => `${file} imports ${target}`);
    expect(wrong).toEqual([]);
  });

  test('reaches the engine only through its door', () => {
    const doors = ['engine/index.ts', 'engine/engine.ts'];
    const wrong = imports
      .filter(({ file, target }) => file.startsWith('src/') && target.startsWith('.'))
      .map(({ file, target }) => ({ file, path: pathOf(file, target) }))
      .filter(({ path }) => path.startsWith('engine/') && !doors.includes(path))
      .map(({ file, path }) => `${file} imports ${path}`);
    expect(wrong).toEqual([]);
  });

  test('gives every folder a README', () => {
    const folders = [...new Set(files.map(folderOf))].filter((folder) => folder.includes('/'));
    expect(folders.filter((folder) => !exists(join(root, folder, 'README.md')))).toEqual([]);
  });
});

function wrongArrow({ file, target }: Import): readonly string[] {
  const from = folderOf(file);
  const path = pathOf(file, target);
  const to = folderOf(path);
  const open = from.startsWith('engine') && openToEngine.includes(to) && from !== 'engine/base';
  const door = from === 'engine/runtime' && to === 'engine' && path !== 'engine/engine.ts';
  if (from === to || (open && !(from === 'engine/image' && to !== 'engine/base'))) return [];
  return !door && (allowed[from] ?? []).includes(to) ? [] : [`${file} imports ${path}`];
}

/** Folder that the rules speak of: two levels, or `engine` for a file directly in it. */
function folderOf(path: string): string {
  const parts = path.split('/');
  return parts.length === 2 ? (parts[0] ?? '') : parts.slice(0, 2).join('/');
}

function pathOf(file: string, target: string): string {
  return relative(root, resolve(root, dirname(file), target));
}

function sources(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
    .sort();
}

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = [
    ...text.matchAll(
      /^\s*(?:import|export)\s[^;]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|^\s*import\s+'([^']+)'/gm,
    ),
  ];
  return found.map((match) => ({ file, target: match[1] ?? match[2] ?? match[3] ?? '' }));
}

function builtin(target: string): boolean {
  return target.startsWith('node:') && builtinModules.includes(target.slice(5).split('/')[0] ?? '');
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

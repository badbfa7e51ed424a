import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openContext } from '../../engine/context/index.ts';
import { parse, parseStages } from '../../engine/dockerfile/index.ts';
import { loadSmokeTest } from '../../src/smoke/index.ts';

const ROOT = resolve(import.meta.dirname, '../../examples');
const names = (await readdir(ROOT)).filter((name) => existsSync(join(ROOT, name, 'Dockerfile')));

test('there are the three applications of the lessons', () => {
  expect(names).toEqual(expect.arrayContaining(['fastapi-sklearn', 'text-gunicorn', 'trainer']));
});

describe.each(names)('examples/%s', (name) => {
  const folder = join(ROOT, name);

  test('has a Dockerfile without a warning', async () => {
    const file = parse(await readFile(join(folder, 'Dockerfile'), 'utf8'), { file: 'Dockerfile' });
    expect(parseStages(file).stages.length).toBeGreaterThan(0);
    expect(file.findings.list.filter(({ rule }) => rule !== 'InvalidDefinitionDescription')).toEqual([]);
  });

  test('has a smoke test whose files are there, and works from any folder', async () => {
    const file = join(folder, 'smoke-test.yaml');
    if (!existsSync(file)) return;
    const loaded = await loadSmokeTest(file, { workingDirectory: '/' });
    if (loaded.kind !== 'spec') throw new Error('a file is a spec');
    expect(loaded.spec.requests.map(({ request }) => request.path)).toContain('/predict');
  });

  test('pins every requirement', async () => {
    const lines = (await readFile(join(folder, 'requirements.txt'), 'utf8')).split('\n').filter(Boolean);
    expect(lines.filter((line) => !/^[\w-]+==[\d.]+$/.test(line))).toEqual([]);
  });

  test('sends neither its tests nor its Dockerfile to the build', async () => {
    const context = await openContext(folder);
    const all = await context.select(['.'], { destIsDirectory: true });
    const paths = all.map(({ entry }) => entry.path.toString());
    expect(paths).toContain('requirements.txt');
    expect(paths.filter((path) => /^(tests|Dockerfile|smoke-test\.yaml|\.dockerignore)/.test(path))).toEqual([]);
  });
});

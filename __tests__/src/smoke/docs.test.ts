import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { loadSmokeTest, parseSpec, presetNames } from '../../../src/smoke/index.ts';

const root = resolve(import.meta.dirname, '../../..');
const docs = await readFile(join(root, 'docs/smoke-test.md'), 'utf8');
const readme = await readFile(join(root, 'README.md'), 'utf8');
const schema = JSON.parse(await readFile(join(root, 'src/smoke/schema.json'), 'utf8')) as object;

/** The YAML of a text's code blocks. */
const blocksOf = (text: string): readonly string[] =>
  [...text.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, block = '']) => block);

const blocks = blocksOf(docs);
const structures = blocks.filter((block) => block.includes('schemaVersion:'));
const lines = blocks.flatMap((block) => /^smoke-test: '(.*)'$/m.exec(block)?.[1] ?? []);
const specs = blocks.filter((block) => !structures.includes(block) && !/^smoke-test:/m.test(block));

/** Everything that the examples name. */
const FILES: Readonly<Record<string, string>> = {
  'tests/structure.yaml': structures[0] ?? '',
  'tests/row.json': '{}',
  'tests/rows.json': '{"instances": [1, 2]}',
  'tests/chat.json': '{}',
  'tests/row.expected.json': '{}',
  'tests/response.schema.json': '{}',
  'tests/cat.jpg': 'jpg',
  'tests/model/weights': '',
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-docs-'));
  for (const [name, content] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
});
afterAll(async () => await rm(folder, { recursive: true }));

const lookup = (name: string): string | undefined => (name === 'HF_TOKEN' ? 'hf_12345' : undefined);

describe('the documentation', () => {
  test('has examples of every kind', () => {
    expect([structures.length, lines.length]).toEqual([1, 1]);
    expect(specs.length).toBeGreaterThan(1);
  });

  test.each([...specs, ...lines])('shows what can be used: %s', async (text) => {
    await expect(parseSpec(text, 'docs/smoke-test.md', [folder], lookup)).resolves.toHaveProperty('run');
    const validate = new Ajv2020({ strict: false }).compile(schema);
    expect([validate(parse(text)), validate.errors]).toEqual([true, null]);
  });

  test('names every preset, and every key of the language', () => {
    expect(presetNames.filter((name) => !docs.includes(`| \`${name}\``))).toEqual([]);
    const { properties } = schema as { readonly properties: object };
    expect(Object.keys(properties).filter((key) => !docs.includes(`${key}:`))).toEqual([]);
  });

  test.each(blocksOf(readme).filter((block) => /^(?:readinessProbe|requests|preset|version):/m.test(block)))(
    'of the README shows what can be used: %s',
    async (text) => {
      // Its files are those of an example.
      const found = await parseSpec(text, 'README.md', [folder], lookup).catch((error: unknown) => String(error));
      if (typeof found === 'string') expect(found).toMatch(/there is no file/);
    },
  );
});

describe('the examples', () => {
  test('have smoke tests that can be used', async () => {
    const names = await readdir(join(root, 'examples'));
    let count = 0;
    for (const name of names) {
      const workingDirectory = join(root, 'examples', name);
      const loaded = await loadSmokeTest('smoke-test.yaml', { workingDirectory }).catch((error: unknown) => {
        if (String(error).includes('there is no such file')) return undefined;
        throw error;
      });
      if (loaded?.kind === 'spec') count += 1;
    }
    expect(count).toBeGreaterThanOrEqual(2);
  });
});

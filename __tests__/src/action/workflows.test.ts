import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../../..');
/** GitHub's own parser imports JSON without attributes, which Node refuses: it is bundled first. */
const CHECKER = `
import { readFileSync } from 'node:fs';
import { parseWorkflow, NoOperationTraceWriter } from '@actions/workflow-parser';
import { parseAction } from '@actions/workflow-parser/actions/index';
const [kind, path] = process.argv.slice(2);
const parse = kind === 'action' ? parseAction : parseWorkflow;
const { context } = parse({ name: path, content: readFileSync(path, 'utf8') }, new NoOperationTraceWriter());
process.stdout.write(JSON.stringify(context.errors.getErrors().map(String)));
`;

let folder: string;
let checker: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-workflows-'));
  checker = join(folder, 'checker.cjs');
  const stdin = { contents: CHECKER, resolveDir: ROOT };
  await build({ stdin, outfile: checker, bundle: true, platform: 'node', format: 'cjs', logLevel: 'silent' });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function problems(kind: 'action' | 'workflow', path: string): readonly string[] {
  return JSON.parse(execFileSync(process.execPath, [checker, kind, path], { encoding: 'utf8' })) as readonly string[];
}

const workflows = ['.github/workflows', 'examples/workflows'].flatMap((place) =>
  readdirSync(join(ROOT, place)).map((name) => `${place}/${name}`),
);

describe("GitHub's own parser", () => {
  test('takes action.yml', () => {
    expect(problems('action', join(ROOT, 'action.yml'))).toEqual([]);
  });

  test.each(workflows)('takes %s', (path) => {
    expect(problems('workflow', join(ROOT, path))).toEqual([]);
  });

  test('finds what is wrong', () => {
    const path = join(folder, 'wrong.yml');
    writeFileSync(path, 'name: x\ndescription: x\nruns: { using: node18, main: a.js }\n');
    expect(problems('action', path).join()).toContain('node18');
    writeFileSync(path, 'on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    stepz: []\n');
    expect(problems('workflow', path).join()).toContain('stepz');
  });
});

test.each(workflows)(
  '%s pins what it uses by commit, names its permissions and keeps no token in the checkout',
  (path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const used = [...text.matchAll(/uses: (\S+)/g)].map(([, name = '']) => name);
    const moving = used.filter((name) => !/^\.\/|^org\/container-action@v1$|@[0-9a-f]{40}$/.test(name));
    expect(moving).toEqual([]);
    expect(text).toMatch(/^permissions:/m);
    expect(text.match(/actions\/checkout@/g)?.length).toBe(text.match(/persist-credentials: false/g)?.length);
  },
);

test('the tables in the documentation say what action.yml says', () => {
  expect(() => execFileSync(process.execPath, [join(ROOT, 'scripts/readme.mjs'), '--check'])).not.toThrow();
});

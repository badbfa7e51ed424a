// Bundles the command line and the Action into dist/, complete and runnable without node_modules.
import { build } from 'esbuild';
import { readFile, writeFile, rm, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
const hashes = await readFile(join(root, 'dist/native/native.sha256'), 'utf8').catch(() => '');

for (const folder of ['cli', 'action']) await rm(join(root, 'dist', folder), { recursive: true, force: true });
const result = await build({
  absWorkingDir: root,
  entryPoints: { 'cli/index': 'src/cli/index.ts', 'action/index': 'src/action/index.ts' },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  metafile: true,
  legalComments: 'none',
  // Packages that are CommonJS inside call `require`.
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
  define: { BERTH_VERSION: JSON.stringify(version), BERTH_NATIVE_HASHES: JSON.stringify(hashes) },
});
await mkdir(join(root, 'dist'), { recursive: true });
await writeFile(join(root, 'dist/package.json'), '{ "type": "module" }\n');
await writeFile(join(root, 'dist/licenses.txt'), await licences(Object.keys(result.metafile.inputs)));

/** The licence texts of every package that went into a bundle. */
async function licences(inputs) {
  const names = new Set();
  for (const path of inputs) {
    const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(path);
    if (match?.[1]) names.add(match[1]);
  }
  const texts = [];
  for (const name of [...names].sort()) {
    const folder = join(root, 'node_modules', name);
    const { license = 'unknown', version: its } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const text = await firstOf(folder, ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'license.md', 'LICENCE']);
    texts.push(`${name} ${its}\n${license}\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

async function firstOf(folder, names) {
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return '(the package ships no licence file)';
}
